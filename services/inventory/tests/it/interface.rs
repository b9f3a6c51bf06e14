//! The description of the interface against the interface.

use std::collections::BTreeSet;

use axum::http::Method;

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
                assert_eq!(shop.send(call().anonymous()).await.status, 200, "{method} {path}");
                continue;
            };
            shop.send(call().anonymous()).await.is_problem(401, "unauthorized");
            shop.send(call().scope("orders:read")).await.is_problem(403, "forbidden");
            let permitted = shop.send(call().scope(scope)).await.status.as_u16();
            assert!(![401, 403, 405].contains(&permitted), "{method} {path}: {permitted}");
        }
    }
    let source = include_str!("../../src/http.rs");
    let routes: BTreeSet<&str> = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(routes, paths.keys().map(String::as_str).collect());
    shop.close().await;
}
