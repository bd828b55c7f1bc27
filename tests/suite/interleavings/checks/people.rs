//! Whether a person who asks to be erased is erased: nothing is missed, and nothing comes back.

use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::DocumentStore as _;

use super::files::file;
use crate::interleavings::action::{Action, Done};
use crate::interleavings::facts::Fact;
use crate::interleavings::gate::Gate;
use crate::interleavings::process::Process;
use crate::interleavings::stores::short;
use crate::interleavings::world::World;
use crate::support::fake_source::PARTICIPANT;

const ALL: usize = 10_000;

/// What is left of a person whom somebody has erased; and whether an erasure that comes last finds what there is.
pub async fn check(world: &World) -> Vec<String> {
    let mut problems = Vec::new();
    let was_erased = world.facts.has(&Fact::Erased);
    let left = traces_of_person(world).await;
    if was_erased {
        let told = left
            .iter()
            .map(|place| format!("erased, and {place} names the person"));
        problems.extend(told);
        return problems;
    }
    if left.is_empty() {
        return problems;
    }
    let calm = Gate::new(&world.facts, "E", None);
    let done = Process::new(world, &calm).perform(Action::Erase).await;
    if done != Done::Done {
        problems.push(format!(
            "an erasure at the end does not find the person: {done:?}"
        ));
    }
    let left = traces_of_person(world).await;
    let told = left
        .iter()
        .map(|place| format!("erased at the end, and {place} names the person"));
    problems.extend(told);
    problems
}

/// Documents and files that name the person.
async fn traces_of_person(world: &World) -> Vec<String> {
    let mut traces = Vec::new();
    // By a hash without a key, whoever tries all phone numbers finds hers.
    let plain_hash = Sha256Digest::of(PARTICIPANT.to_lowercase().as_bytes()).to_string();
    let keys = world
        .store
        .list("", None, ALL)
        .await
        .expect("the store works");
    for key in keys {
        let found = world.store.find(&key).await.expect("the store works");
        let names = found.is_some_and(|found| names_person(&found.content));
        if names || key.contains(&plain_hash) {
            traces.push(short(&key));
        }
    }
    for vault in [&world.home, &world.backup] {
        let files = vault.files();
        let naming = files.iter().filter(|(_, content)| names_person(content));
        traces.extend(naming.map(|(name, _)| file(name).to_owned()));
    }
    traces
}

fn names_person(content: &[u8]) -> bool {
    String::from_utf8_lossy(content).contains(PARTICIPANT)
}
