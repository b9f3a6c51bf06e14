//! The description of the interface against the interface.

use std::collections::BTreeSet;

use axum::http::Method;
use contracts::money::Currency;

use crate::support::{Call, Shop};

#[tokio::test]
async fn the_description_has_the_routes_and_their_scopes() {
    let shop = Shop::open().await;
    let document = shop.send(Call::new(Method::GET, "/openapi.json").anonymous()).await.body;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths {
        let id = uuid::Uuid::now_v7().to_string();
        let url = path.replace("{sku}", "tea").replace("{order_id}", &id).replace("{event_id}", &id);
        for (method, operation) in operations.as_object().unwrap() {
            let call = || Call::new(method.to_uppercase().parse().unwrap(), &url);
            let Some(scope) = operation["security"][0]["bearer"][0].as_str() else {
                // without its tasks the service is not ready
                let expected = if path == "/readyz" { 503 } else { 200 };
                assert_eq!(shop.send(call().anonymous()).await.status, expected, "{method} {path}");
                continue;
            };
            shop.send(call().anonymous()).await.is_problem(401, "unauthorized");
            shop.send(call().scope("orders:read")).await.is_problem(403, "forbidden");
            let permitted = shop.send(call().scope(scope)).await.status.as_u16();
            assert!(![401, 403, 405].contains(&permitted), "{method} {path}: {permitted}");
        }
    }
    // its own routes, and those of every service
    let source =
        concat!(include_str!("../../src/http.rs"), include_str!("../../../../crates/service-kit/src/http/finish.rs"));
    let routes: BTreeSet<&str> = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(routes, paths.keys().map(String::as_str).collect());
    shop.close().await;
}

#[tokio::test]
async fn the_currencies_that_it_names_are_those_that_it_takes() {
    let shop = Shop::open().await;
    let document = shop.send(Call::new(Method::GET, "/openapi.json").anonymous()).await.body;
    let named = document["components"]["schemas"]["Currency"]["enum"].as_array().unwrap();
    let named: BTreeSet<&str> = named.iter().map(|code| code.as_str().unwrap()).collect();
    for number in 0..26_u32.pow(3) {
        let letter = |place: u32| char::from(b'A' + u8::try_from(number / 26_u32.pow(place) % 26).unwrap());
        let code: String = [letter(2), letter(1), letter(0)].into_iter().collect();
        assert_eq!(code.parse::<Currency>().is_ok(), named.contains(code.as_str()), "{code}");
    }
    shop.close().await;
}
