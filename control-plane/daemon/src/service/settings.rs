use crate::config::{Config, Effective, Layers};
use crate::log::ids;

/// Reads all settings once more. An operator is told of everything that is wrong with them, or that `check` finds,
/// and then there is nothing: those in force are to stay.
pub fn reread<C: Config>(
    layers: &Layers,
    check: impl FnOnce(&C) -> Result<(), String>,
) -> Option<Effective<C>> {
    let loaded = layers
        .load::<C>()
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>());
    let checked = loaded.and_then(|new| match check(&new.config) {
        Ok(()) => Ok(new),
        Err(problem) => Err(vec![problem]),
    });
    let told = checked.inspect_err(|problems| {
        for problem in problems {
            tracing::error!(
                id = ids::SETTINGS_REFUSED.code,
                "{problem}: the settings in force stay"
            );
        }
    });
    told.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::Mill;

    #[test]
    fn what_is_wrong_does_not_come_into_force() {
        let with = |flag: &str| Layers { flags: vec![flag.to_owned()], ..Layers::default() };
        let fits = |mill: &Mill| if mill.stones < 5 { Ok(()) } else { Err("no room".to_owned()) };
        let stones = |flag| reread(&with(flag), fits).map(|it| it.config.stones);
        assert_eq!(stones("mill.stones=4"), Some(4));
        assert_eq!(stones("mill.stones=9"), None, "out of its range");
        assert_eq!(stones("mill.stones=5"), None, "the program does not take it");
    }
}
