//! Whose certificates are trusted.

use std::path::Path;
use std::sync::Arc;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

use super::HttpError;

/// The system's certificates and those of `ca_file`. The system's are only read where something
/// behind `https://` is called: there are hundreds.
pub(super) fn config(https: bool, ca_file: Option<&Path>) -> Result<TlsConfig, HttpError> {
    let mut roots = match ca_file {
        Some(path) => from_file(path)?,
        None => Vec::new(),
    };
    if https {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "some of the system's certificates can't be read");
        }
        roots.extend(found.certs.iter().map(|der| Certificate::from_der(der).to_owned()));
        if roots.is_empty() {
            return Err(HttpError::NoRoots);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

fn from_file(path: &Path) -> Result<Vec<Certificate<'static>>, HttpError> {
    let pem =
        std::fs::read(path).map_err(|error| HttpError::CaFile { path: path.to_owned(), error })?;
    let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(HttpError::CaFileEmpty(path.to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_ca_file_is_trusted_beside_the_systems_certificates() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        file.write_all(made.cert.pem().as_bytes()).unwrap();
        let count = |https| match config(https, Some(file.path())).unwrap().root_certs() {
            RootCerts::Specific(roots) => roots.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(count(false), 1);
        assert_eq!(count(true), 1 + rustls_native_certs::load_native_certs().certs.len());
    }
}
