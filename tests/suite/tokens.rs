//! Bearer tokens: which are refused, and that a slow key server delays nobody whose key is known.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{KeyAlgorithm, PublicKeyUse};
use recording_vault::oidc::{InvalidToken, TokenValidator};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::issuer::{self, Issuer};

fn validator(issuer: &Issuer) -> Arc<TokenValidator> {
    let url = issuer.openid_url().parse().expect("it is a URL");
    let validator = TokenValidator::new(url, issuer::AUDIENCE.to_owned());
    Arc::new(validator.expect("there is TLS"))
}

async fn validate(validator: &TokenValidator, token: &str) -> Result<(), InvalidToken> {
    validate_at(validator, token, Timestamp::now()).await
}

async fn validate_at(
    validator: &TokenValidator,
    token: &str,
    now: Timestamp,
) -> Result<(), InvalidToken> {
    let authorization = format!("Bearer {token}");
    validator.validate(Some(&authorization), now).await
}

#[tokio::test]
async fn a_token_with_critical_extensions_is_refused() {
    let issuer = Issuer::start().await;
    let token = issuer.token_with(&issuer.claims(), |header| {
        header.crit = Some(vec!["exp".to_owned()]);
    });
    let refused = validate(&validator(&issuer), &token).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn a_key_is_used_only_for_what_it_is_published_for() {
    let for_encryption = Issuer::start_with(|key| {
        key.common.public_key_use = Some(PublicKeyUse::Encryption);
    })
    .await;
    let token = for_encryption.token(&for_encryption.claims());
    let refused = validate(&validator(&for_encryption), &token).await;
    assert!(
        matches!(refused, Err(InvalidToken::UnknownKey)),
        "{refused:?}"
    );

    let for_another = Issuer::start_with(|key| {
        key.common.key_algorithm = Some(KeyAlgorithm::RS512);
    })
    .await;
    let token = for_another.token(&for_another.claims());
    let refused = validate(&validator(&for_another), &token).await;
    assert!(
        matches!(refused, Err(InvalidToken::Unsupported(_))),
        "{refused:?}"
    );

    let for_any = Issuer::start_with(|key| key.common.key_algorithm = None).await;
    for algorithm in [Algorithm::RS256, Algorithm::RS384, Algorithm::PS256] {
        let token = for_any.token_with(&for_any.claims(), |header| header.alg = algorithm);
        validate(&validator(&for_any), &token)
            .await
            .expect("the family is right");
    }
}

#[tokio::test]
async fn a_wrong_issuer_is_named_beside_the_right_one() {
    let issuer = Issuer::start().await;
    let mut claims = issuer.claims();
    claims["iss"] = "https://sts.windows.net/tenant/".into();
    let refused = validate(&validator(&issuer), &issuer.token(&claims)).await;
    let text = refused.expect_err("it is of another issuer").to_string();
    let right = issuer.claims()["iss"]
        .as_str()
        .expect("it is text")
        .to_owned();
    assert!(
        text.contains("https://sts.windows.net/tenant/") && text.contains(&right),
        "{text}"
    );
}

#[tokio::test]
async fn an_audience_is_one_of_several_in_any_spelling_of_its_id_and_another_is_named() {
    let issuer = Issuer::start().await;
    let validator = validator(&issuer);
    let token = |audience: Value| {
        let mut claims = issuer.claims();
        claims["aud"] = audience;
        issuer.token(&claims)
    };
    for audience in [
        json!(issuer::AUDIENCE.to_uppercase()),
        json!(["api://other", issuer::AUDIENCE]),
    ] {
        let checked = validate(&validator, &token(audience.clone())).await;
        assert!(checked.is_ok(), "{audience}: {checked:?}");
    }
    for audience in [json!("api://other"), json!(["api://other"])] {
        let refused = validate(&validator, &token(audience.clone())).await;
        let found = match refused {
            Err(InvalidToken::WrongAudience { found }) => found,
            other => panic!("{audience}: {other:?}"),
        };
        assert_eq!(found, "api://other");
    }
    let none = validate(&validator, &token(json!([]))).await;
    assert!(none.is_err(), "{none:?}");
}

/// No token has such an issuer: with it, every caller would be refused.
#[tokio::test]
async fn a_configuration_of_many_tenants_is_no_configuration_of_an_issuer() {
    let issuer = Issuer::start_named("https://login.microsoftonline.com/{tenantid}/v2.0").await;
    let validator = validator(&issuer);
    let refused = validate(&validator, &issuer.token(&issuer.claims())).await;
    assert!(
        matches!(refused, Err(InvalidToken::NoKeys(_))),
        "{refused:?}"
    );
    let error = validator.fetch_keys().await.expect_err("it is of no one");
    assert!(error.to_string().contains("{tenantid}"), "{error}");
}

#[tokio::test]
async fn a_token_that_is_right_and_out_of_its_time_is_told_apart_from_a_wrong_one() {
    let issuer = Issuer::start().await;
    let now = Timestamp::now().as_second();
    for (name, value) in [("exp", json!(now - 300)), ("nbf", json!(now + 300))] {
        let mut claims = issuer.claims();
        claims[name] = value;
        let refused = validate(&validator(&issuer), &issuer.token(&claims)).await;
        assert!(
            matches!(refused, Err(InvalidToken::NotNow)),
            "{name}: {refused:?}"
        );
        let forged = validate(&validator(&issuer), &issuer::forged(&claims)).await;
        assert!(
            matches!(forged, Err(InvalidToken::Invalid(_))),
            "{name}: {forged:?}"
        );
    }
    for name in ["exp", "aud", "iss"] {
        let mut claims = issuer.claims();
        claims
            .as_object_mut()
            .expect("it is an object")
            .remove(name);
        let refused = validate(&validator(&issuer), &issuer.token(&claims)).await;
        assert!(
            matches!(refused, Err(InvalidToken::Invalid(_))),
            "{name}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_token_is_checked_at_the_time_of_the_given_clock() {
    let issuer = Issuer::start().await;
    let (validator, token) = (validator(&issuer), issuer.token(&issuer.claims()));
    let now = Timestamp::now();
    for (minutes, is_current) in [(-10, false), (0, true), (10, false)] {
        let at = now + SignedDuration::from_mins(minutes);
        let checked = validate_at(&validator, &token, at).await;
        assert_eq!(checked.is_ok(), is_current, "{minutes}: {checked:?}");
    }
}

#[tokio::test]
async fn an_unknown_key_costs_one_fetch_and_delays_nobody_whose_key_is_known() {
    let issuer = Issuer::start().await;
    let (validator, claims) = (validator(&issuer), issuer.claims());
    let unknown = issuer.token_with(&claims, |header| header.kid = Some("k2".to_owned()));
    for _ in 0..10 {
        let refused = validate(&validator, &unknown).await;
        assert!(
            matches!(refused, Err(InvalidToken::UnknownKey)),
            "{refused:?}"
        );
    }
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 1);
    let known = issuer.token(&claims);
    validate(&validator, &known)
        .await
        .expect("its key is known");
}

#[tokio::test]
async fn a_slow_key_server_delays_nobody_whose_key_is_known() {
    let issuer = Issuer::start().await;
    let (validator, claims) = (validator(&issuer), issuer.claims());
    let known = issuer.token(&claims);
    validate(&validator, &known)
        .await
        .expect("the token is right");
    issuer.gate.forget_permits(1000);
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    tokio::time::resume();
    let unknown = issuer.token_with(&claims, |header| header.kid = Some("k2".to_owned()));
    let waiting = tokio::spawn({
        let validator = Arc::clone(&validator);
        async move { validate(&validator, &unknown).await.is_err() }
    });
    eventually("the keys are fetched again", async || {
        (issuer.fetches.load(Ordering::SeqCst) == 2).then_some(())
    })
    .await;
    validate(&validator, &known)
        .await
        .expect("its key is known");
    assert!(
        !waiting.is_finished(),
        "the key server has not answered yet"
    );
    issuer.gate.add_permits(1);
    assert!(waiting.await.expect("it does not panic"));
}
