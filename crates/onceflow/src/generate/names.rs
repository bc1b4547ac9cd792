//! Names and places, made once: an event only picks one.

use fake::Fake as _;
use fake::faker::{address::en as address, company::en as company, internet::en as internet};
use fake::faker::{lorem::en as lorem, name::en as name};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::spec::Fake;

/// How many different values a field has.
const POOL: usize = 2048;

/// Values of one sort, as JSON text with quotes. Always the same ones: the seed only decides
/// which event gets which.
pub(crate) fn pool(sort: Fake) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(sort as u64);
    (0..POOL).map(|_| json(&one(sort, &mut rng))).collect()
}

fn one(sort: Fake, rng: &mut StdRng) -> String {
    match sort {
        Fake::FirstName => name::FirstName().fake_with_rng(rng),
        Fake::LastName => name::LastName().fake_with_rng(rng),
        Fake::FullName => name::Name().fake_with_rng(rng),
        Fake::UserName => internet::Username().fake_with_rng(rng),
        Fake::Email => internet::SafeEmail().fake_with_rng(rng),
        Fake::City => address::CityName().fake_with_rng(rng),
        Fake::Country => address::CountryName().fake_with_rng(rng),
        Fake::Street => address::StreetName().fake_with_rng(rng),
        Fake::Company => company::CompanyName().fake_with_rng(rng),
        Fake::Sentence => lorem::Sentence(4..9).fake_with_rng(rng),
    }
}

/// `text` as a JSON string.
pub(crate) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_gives_text_and_the_same_each_time() {
        for sort in [Fake::FirstName, Fake::Email, Fake::City, Fake::Sentence] {
            let values = pool(sort);
            assert_eq!(values, pool(sort));
            for value in values {
                let text: String = serde_json::from_str(&value).unwrap();
                assert!(!text.is_empty());
            }
        }
    }
}
