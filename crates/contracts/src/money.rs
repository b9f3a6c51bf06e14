//! Money: whole minor units of an ISO 4217 currency, never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::values::Quantity;

/// An ISO 4217 currency code: `EUR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[A-Z]{3}$")))]
pub struct Currency([u8; 3]);

impl Currency {
    /// The euro, in which version 1 of `order.created` counts.
    pub const EUR: Currency = Currency(*b"EUR");

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three ASCII letters")
    }

    /// How many digits the minor unit has: 2 for EUR, 0 for JPY.
    pub fn digits(self) -> u16 {
        iso_currency::Currency::from_code(self.as_str()).and_then(|currency| currency.exponent()).unwrap_or(0)
    }
}

impl FromStr for Currency {
    type Err = InvalidCurrency;
    fn from_str(code: &str) -> Result<Self, InvalidCurrency> {
        iso_currency::Currency::from_code(code).ok_or(InvalidCurrency)?;
        code.as_bytes().try_into().map(Self).map_err(|_| InvalidCurrency)
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidCurrency;
    fn try_from(code: String) -> Result<Self, InvalidCurrency> {
        code.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no currency of ISO 4217.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency is a three-letter code of ISO 4217")]
pub struct InvalidCurrency;

/// An amount in minor units: `{"amount": 1999, "currency": "EUR"}` is 19.99 euros.
///
/// Never negative: nothing here owes; a refund is an event of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "Unchecked")]
pub struct Money {
    amount: i64,
    currency: Currency,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Unchecked {
    /// How many minor units.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    amount: i64,
    /// Of which currency.
    currency: Currency,
}

impl TryFrom<Unchecked> for Money {
    type Error = NegativeAmount;
    fn try_from(money: Unchecked) -> Result<Self, NegativeAmount> {
        Money::new(money.amount, money.currency)
    }
}

impl Money {
    /// An amount of minor units.
    ///
    /// # Errors
    /// When it is negative.
    pub fn new(amount: i64, currency: Currency) -> Result<Self, NegativeAmount> {
        if amount < 0 { Err(NegativeAmount) } else { Ok(Self { amount, currency }) }
    }

    /// Nothing of that currency.
    pub const fn zero(currency: Currency) -> Self {
        Self { amount: 0, currency }
    }

    /// The number of minor units.
    pub const fn amount(self) -> i64 {
        self.amount
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The sum; `None` where the currencies differ or the sum does not fit 64 bits.
    pub fn plus(self, other: Money) -> Option<Money> {
        (self.currency == other.currency)
            .then(|| self.amount.checked_add(other.amount))
            .flatten()
            .map(|amount| Money { amount, ..self })
    }

    /// The price of that many; `None` where it does not fit 64 bits.
    pub fn times(self, quantity: Quantity) -> Option<Money> {
        self.amount.checked_mul(quantity.get()).map(|amount| Money { amount, ..self })
    }
}

impl fmt::Display for Money {
    /// As people write it: `19.99 EUR`, `500 JPY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.currency.digits());
        if digits == 0 {
            return write!(f, "{} {}", self.amount, self.currency);
        }
        let unit = 10_i64.pow(u32::from(self.currency.digits()));
        write!(f, "{}.{:0digits$} {}", self.amount / unit, self.amount % unit, self.currency)
    }
}

/// A negative amount where money is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount is a whole number of minor units, not below zero")]
pub struct NegativeAmount;

#[cfg(test)]
mod tests {
    use super::*;

    fn eur(amount: i64) -> Money {
        Money::new(amount, Currency::EUR).unwrap()
    }

    #[test]
    fn arithmetic_refuses_what_does_not_fit() {
        assert_eq!(eur(1999).times(3.try_into().unwrap()), Some(eur(5997)));
        assert_eq!(eur(i64::MAX).times(2.try_into().unwrap()), None);
        assert_eq!(eur(i64::MAX).plus(eur(1)), None);
        assert_eq!(eur(1).plus(Money::zero("JPY".parse().unwrap())), None);
    }

    #[test]
    fn people_read_it() {
        assert_eq!(eur(1999).to_string(), "19.99 EUR");
        assert_eq!(eur(5).to_string(), "0.05 EUR");
        assert_eq!(Money::new(500, "JPY".parse().unwrap()).unwrap().to_string(), "500 JPY");
        assert_eq!(Money::new(1234, "KWD".parse().unwrap()).unwrap().to_string(), "1.234 KWD");
    }

    #[test]
    fn json_is_checked() {
        let read = serde_json::from_str::<Money>;
        assert_eq!(read(r#"{"amount":1999,"currency":"EUR"}"#).unwrap(), eur(1999));
        for bad in [
            r#"{"amount":-1,"currency":"EUR"}"#,
            r#"{"amount":1.0,"currency":"EUR"}"#,
            r#"{"amount":1,"currency":"EURO"}"#,
            r#"{"amount":1,"currency":"eur"}"#,
            r#"{"amount":9223372036854775808,"currency":"EUR"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
