use std::borrow::Cow;

use contracts::money::{Currency, Money};
use contracts::order::CancelReason;

use super::*;
use crate::mail::{Cancelled, Confirmed, Low, Template};

const ORDER: &str = "01990000-0000-7000-8000-0000abcd1234";

fn eur(amount: i64) -> Money {
    Money::new(amount, Currency::EUR).unwrap()
}

fn line(name: &str, quantity: i64, price: i64) -> ConfirmedLine {
    ConfirmedLine {
        sku: "TEA-500".parse().unwrap(),
        name: name.to_owned(),
        quantity: quantity.try_into().unwrap(),
        unit_price: eur(price),
    }
}

fn content(template: Template, name: &str) -> Content<'static> {
    match template {
        Template::Welcome => Content::Welcome,
        Template::OrderConfirmed => Content::OrderConfirmed(Confirmed {
            lines: Cow::Owned(vec![line(name, 3, 1999), line("Cup", 1, 500)]),
            total: eur(6497),
        }),
        Template::OrderCancelled => Content::OrderCancelled(Cancelled { reason: CancelReason::PaymentFailed }),
        Template::LowStock => Content::LowStock(Low {
            sku: Cow::Owned("TEA-500".parse().unwrap()),
            name: Cow::Owned(name.to_owned()),
            available: 2,
            threshold: 5,
        }),
    }
}

fn render(template: Template, name: &str) -> Rendered {
    let about = About { name, order_id: Some(ORDER.parse().unwrap()) };
    Templates::new("My Shop").render(about, &content(template, name)).unwrap()
}

#[test]
fn every_template_renders_as_it_did() {
    for template in Template::ALL {
        let rendered = render(template, "Ada <script>alert('x')</script> & Co");
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        for (ending, page) in [("html", &rendered.html), ("txt", &rendered.text)] {
            let file = golden.join(format!("{}.{ending}", template.as_str()));
            if std::env::var_os("BLESS").is_some() {
                std::fs::write(&file, page).unwrap();
            }
            let expected = std::fs::read_to_string(&file).unwrap();
            assert_eq!(*page, expected, "{} changed: look at it, then run this test with BLESS=1", file.display());
        }
    }
}

#[test]
fn html_is_escaped_and_text_has_no_controls() {
    for template in Template::ALL {
        let rendered = render(template, "<script>alert('x')</script>\r\n\u{1b}[31m\u{202e}");
        assert!(!rendered.html.contains("<script"), "{template:?}");
        assert!(!rendered.subject.contains(char::is_control));
        let text = rendered.text.replace('\n', "");
        assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{template:?}");
    }
}

#[test]
fn an_order_is_told_with_its_lines_and_total() {
    let rendered = render(Template::OrderConfirmed, "Tea");
    for page in [&rendered.html, &rendered.text] {
        for expected in ["Tea", "TEA-500", "19.99 EUR", "59.97 EUR", "5.00 EUR", "64.97 EUR", ORDER] {
            assert!(page.contains(expected), "{expected} is missing in {page}");
        }
    }
    assert_eq!(rendered.subject, "Your order ABCD1234 is confirmed");
}

#[test]
fn a_cancellation_says_why() {
    let rendered = render(Template::OrderCancelled, "Ada");
    assert!(rendered.text.contains("because\nthe payment was declined"));
    assert!(rendered.html.contains("because the payment was declined"));
    let nobody = Content::OrderCancelled(Cancelled { reason: CancelReason::UnknownOrder });
    assert!(Templates::new("").render(About { name: "", order_id: None }, &nobody).is_err());
}

#[test]
fn lines_fit_a_message() {
    let many = Content::OrderConfirmed(Confirmed {
        lines: Cow::Owned(vec![line(&"é".repeat(200), 10_000, i64::MAX / 10_000); 100]),
        total: eur(i64::MAX),
    });
    let rendered = Templates::new("My Shop").render(About { name: &"ñ".repeat(200), order_id: None }, &many).unwrap();
    // RFC 5322, section 2.1.1: at most 998 characters; longer ones would have to be encoded.
    assert!(rendered.html.lines().all(|line| line.chars().count() < 998));
}
