//! The templates, compiled once, and what they make of a mail: a subject, a page of HTML, and the same as plain text.

use contracts::order::ConfirmedLine;
use contracts::values::OrderId;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::mail::{Content, harmless, in_words};

/// A mail as its recipient will see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// A whole page, with everything that came from outside escaped.
    pub html: String,
    /// The same for readers without HTML.
    pub text: String,
}

/// Whom and what a mail is about, beside its [`Content`].
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// How to address the recipient.
    pub name: &'a str,
    /// The order, if it is about one.
    pub order_id: Option<OrderId>,
}

/// The compiled templates of one sender.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    shop: String,
}

/// The sources, by the name under which they are compiled. The ending decides about escaping.
const SOURCES: [(&str, &str); 9] = [
    ("layout.html", include_str!("../templates/layout.html")),
    ("welcome.html", include_str!("../templates/welcome.html")),
    ("welcome.txt", include_str!("../templates/welcome.txt")),
    ("order-confirmed.html", include_str!("../templates/order-confirmed.html")),
    ("order-confirmed.txt", include_str!("../templates/order-confirmed.txt")),
    ("order-cancelled.html", include_str!("../templates/order-cancelled.html")),
    ("order-cancelled.txt", include_str!("../templates/order-cancelled.txt")),
    ("low-stock.html", include_str!("../templates/low-stock.html")),
    ("low-stock.txt", include_str!("../templates/low-stock.txt")),
];

/// A line of an order as the templates print it.
fn line(line: &ConfirmedLine) -> Value {
    // One that does not fit 64 bits, which its publisher rules out, is left blank.
    let price = line.unit_price.times(line.quantity).map(|price| price.to_string()).unwrap_or_default();
    let (name, sku) = (harmless(&line.name), line.sku.as_str());
    context! { name, sku, quantity => line.quantity.get(), unit_price => line.unit_price.to_string(), price }
}

impl Templates {
    /// Compiles the templates; `shop` is what the sender calls itself.
    pub fn new(shop: &str) -> Self {
        let mut environment = Environment::new();
        // A line that holds nothing but a tag leaves no blank line behind.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
        environment.set_syntax(syntax.expect("the usual delimiters"));
        // A misspelt variable is an error in the first test that renders it, not a hole in a mail.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in SOURCES {
            environment.add_template(name, source).expect("the tests compile every template");
        }
        Self { environment, shop: harmless(shop).into_owned() }
    }

    /// Renders a mail.
    ///
    /// # Errors
    /// When a template and its content do not fit each other, or nobody is to be told of the content.
    pub fn render(&self, about: About<'_>, content: &Content<'_>) -> Result<Rendered, minijinja::Error> {
        let name = harmless(about.name);
        let order_id = about.order_id.map(|id| id.to_string()).unwrap_or_default();
        let shop = self.shop.as_str();
        match content {
            Content::Welcome => {
                self.pages(content, format!("Welcome to {shop}"), |subject| context! { subject, shop, name })
            }
            Content::OrderConfirmed(confirmed) => {
                let lines: Vec<Value> = confirmed.lines.iter().map(line).collect();
                let total = confirmed.total.to_string();
                let subject = format!("Your order {} is confirmed", number(&order_id));
                self.pages(content, subject, |subject| context! { subject, shop, name, order_id, lines, total })
            }
            Content::OrderCancelled(cancelled) => {
                let reason = in_words(cancelled.reason).ok_or_else(|| {
                    minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, "nobody is mailed for this reason")
                })?;
                let subject = format!("Your order {} is cancelled", number(&order_id));
                self.pages(content, subject, |subject| context! { subject, shop, name, order_id, reason })
            }
            Content::LowStock(low) => {
                let (product, sku) = (harmless(&low.name), low.sku.as_str());
                let subject = format!("Low stock: {sku}, {} left", low.available);
                let (available, threshold) = (low.available, low.threshold);
                self.pages(content, subject, |subject| context! { subject, shop, product, sku, available, threshold })
            }
        }
    }

    fn pages(
        &self,
        content: &Content<'_>,
        subject: String,
        context: impl FnOnce(&str) -> Value,
    ) -> Result<Rendered, minijinja::Error> {
        let context = context(&subject);
        let page = |ending: &str| {
            let name = format!("{}.{ending}", content.template().as_str());
            self.environment.get_template(&name)?.render(&context)
        };
        Ok(Rendered { html: page("html")?, text: page("txt")?, subject })
    }
}

/// What people call an order: the end of its id, which is its random part.
fn number(order_id: &str) -> String {
    let start = order_id.len().saturating_sub(8);
    order_id[start..].to_uppercase()
}

#[cfg(test)]
mod tests;
