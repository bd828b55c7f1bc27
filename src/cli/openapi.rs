//! `recording-vault openapi`: the description of the HTTP API.

use recording_vault::functions::api_description;

use super::exit::Exit;
use super::output::print;

/// Prints the OpenAPI document.
///
/// # Errors
/// When stdout cannot be written.
pub fn run() -> anyhow::Result<Exit> {
    print(&format!("{}\n", api_description::text()))?;
    Ok(Exit::Fine)
}
