//! An HTTP client for what these commands start.

use std::time::Duration;

use anyhow::{Context, Result};

/// More than any answer here takes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A client without proxies, whose error answers are answers.
pub(crate) fn client() -> ureq::Agent {
    ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build()
        .new_agent()
}

/// One GET on a connection of its own.
pub(crate) fn get(url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let request = headers.iter().fold(client().get(url), |request, (name, value)| request.header(*name, *value));
    let mut response = request.call().with_context(|| format!("no answer from {url}"))?;
    let body = response.body_mut().read_to_string().with_context(|| format!("a broken answer from {url}"))?;
    Ok(Answer { status: response.status().as_u16(), body })
}
