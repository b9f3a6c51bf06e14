//! `warren console` from outside: who gets in, and every page and action in a real browser against real services.
//!
//! The browser's part is JavaScript (`tests/console`), run by Node.js with Playwright and Chromium. What it needs is
//! installed by `tests/console/install`; what cannot be had fails the test.

mod access;
mod browser;
mod trouble;
