//! `recording-vault lambda`: the HTTP side under `lambda_http`. Events, timer and export stay with the Functions host.
//! Lambda freezes the process after each response, so nothing is left to be done behind one.

use std::sync::Arc;

use axum::http::Uri;
use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;
use recording_vault::compose;
use recording_vault::config::{Config, InvalidConfig};
use recording_vault::functions;
use tower::util::MapRequest;

use super::exit::Exit;
use super::logging;
use super::output::{complain, complain_in_lines};

/// Variables that the runtime reads, and cannot do without.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
const OF_LAMBDA: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
];

/// The stage of an HTTP API, and of a function URL, that is not part of its URLs.
const DEFAULT_STAGE: &str = "$default";

/// Runs until Lambda ends the process.
pub fn run(variables: Vec<(String, String)>) -> Exit {
    let missing = missing(&variables);
    let config = match Config::read(variables) {
        Ok(config) if missing.is_empty() => config,
        config => {
            let problems = config.err().unwrap_or_default();
            let all = missing.into_iter().fold(problems, InvalidConfig::and);
            complain_in_lines(&all.to_string());
            return Exit::InvalidSettings;
        }
    };
    match serve(config) {
        Ok(()) => Exit::Fine,
        Err(error) => {
            complain(&format!("recording-vault stopped: {error:#}\n"));
            Exit::NotDone
        }
    }
}

/// The variables of Lambda that are missing outside of it.
fn missing(variables: &[(String, String)]) -> Vec<String> {
    let value = |name: &str| {
        let mut variables = variables.iter();
        variables.find_map(|(given, value)| (given == name).then_some(value))
    };
    let problem = |name: &&str| match value(name) {
        None => Some(format!("{name} is missing; AWS Lambda sets it")),
        Some(text) if name.ends_with("_SIZE") && text.parse::<i32>().is_err() => {
            Some(format!("{name} is `{text}`; AWS Lambda sets a number"))
        }
        Some(_) => None,
    };
    OF_LAMBDA.iter().filter_map(problem).collect()
}

#[tokio::main]
async fn serve(config: Config) -> anyhow::Result<()> {
    logging::begin(&config);
    let app = tokio::task::spawn_blocking(|| compose::app(config)).await??;
    let app = Arc::new(app.frozen_after_responses());
    lambda_http::run(MapRequest::new(functions::http_router(&app), without_stage))
        .await
        .map_err(|error| anyhow::anyhow!(error))
}

/// Removes the stage from the path of a request. `lambda_http` puts it before the path of a REST API, and that of an HTTP API
/// begins with it.
fn without_stage(mut request: lambda_http::Request) -> lambda_http::Request {
    let stage = request.request_context_ref().and_then(stage_of);
    if let Some(uri) = stage.and_then(|stage| uri_without(request.uri(), stage)) {
        *request.uri_mut() = uri;
    }
    request
}

fn stage_of(context: &RequestContext) -> Option<&str> {
    let stage = match context {
        RequestContext::ApiGatewayV1(context) => context.stage.as_deref(),
        RequestContext::ApiGatewayV2(context) => context.stage.as_deref(),
        RequestContext::Alb(_) => None,
        _ => None,
    };
    stage.filter(|stage| *stage != DEFAULT_STAGE)
}

/// `None`: the path does not begin with the stage.
fn uri_without(uri: &Uri, stage: &str) -> Option<Uri> {
    let path = path_behind(stage, uri.path())?;
    let query = uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("{path}{query}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// The path behind the stage, where that is a path of the API: a stage may be called `api`, as our routes begin.
fn path_behind<'a>(stage: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix('/')?.strip_prefix(stage)?;
    let first = rest.strip_prefix('/')?.split('/').next()?;
    first.eq_ignore_ascii_case("api").then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::of_the_stage("/prod/api/recordings/a%2Fb", Some("/api/recordings/a%2Fb"))]
    #[case::in_another_case("/prod/API/recordings", Some("/API/recordings"))]
    #[case::without("/api/recordings", None)]
    #[case::longer_name("/production/api/recordings", None)]
    #[case::no_path_of_the_api("/prod/recordings", None)]
    #[case::twice("/prod/prod/api/recordings", None)]
    #[case::alone("/prod", None)]
    fn a_path_of_the_api_is_found_behind_its_stage(
        #[case] path: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(path_behind("prod", path), expected);
    }

    #[test]
    fn a_stage_may_be_called_as_our_routes_begin() {
        let routed = |path: &'static str| path_behind("api", path).unwrap_or(path);
        assert_eq!(routed("/api/recordings"), "/api/recordings");
        assert_eq!(routed("/api/api/recordings"), "/api/recordings");
    }

    #[test]
    fn host_and_query_stay() {
        let uri = "https://api.example/prod/api/recordings?state=active";
        let uri = uri_without(&uri.parse().unwrap(), "prod").unwrap();
        assert_eq!(uri, "https://api.example/api/recordings?state=active");
    }
}
