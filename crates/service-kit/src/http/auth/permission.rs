//! Scopes as types, so that a handler's signature says what it permits.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::{Caller, Scope};
use crate::http::problem::Problem;

/// A scope as a type; see [`scope`].
pub trait Permission: Send + Sync + 'static {
    /// The scope.
    const SCOPE: Scope;
}

/// The scopes as types, for [`Authorized`] and [`Staff`].
pub mod scope {
    use super::{Permission, Scope};

    macro_rules! permissions {
        ($($name:ident),*) => {$(
            #[doc = concat!("[`Scope::", stringify!($name), "`]")]
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl Permission for $name {
                const SCOPE: Scope = Scope::$name;
            }
        )*};
    }

    permissions!(OrdersRead, OrdersWrite, InventoryRead, InventoryWrite, EmailsRead, Ops);
}

/// A caller whose token has the scope `P`, customers included.
#[derive(Clone, Debug)]
pub struct Authorized<P: Permission>(Caller, PhantomData<P>);

/// A caller whose token has the scope `P` and is not a customer's own.
#[derive(Clone, Debug)]
pub struct Staff<P: Permission>(Caller, PhantomData<P>);

impl<P: Permission> Authorized<P> {
    /// The caller alone, where the scope no longer matters.
    pub fn into_caller(self) -> Caller {
        self.0
    }
}

impl<P: Permission> Deref for Authorized<P> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl<P: Permission> Deref for Staff<P> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl<P: Permission, S: Send + Sync> FromRequestParts<S> for Authorized<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.require(P::SCOPE)?;
        Ok(Authorized(caller, PhantomData))
    }
}

impl<P: Permission, S: Send + Sync> FromRequestParts<S> for Staff<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.require(P::SCOPE)?;
        caller.staff()?;
        Ok(Staff(caller, PhantomData))
    }
}
