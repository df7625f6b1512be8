use crate::action::{Action, Category};

/// Actions that are asked for. What nobody can name any more is always among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection([bool; Action::ALL.len()]);

impl Selection {
    /// Every action.
    pub const ALL: Self = Self([true; Action::ALL.len()]);

    /// Those of some categories.
    pub fn of(categories: &[Category]) -> Self {
        Self(
            Action::ALL.map(|action| {
                action.category().is_none_or(|category| categories.contains(&category))
            }),
        )
    }

    /// Those with some names, of actions or of categories; fails with the first name that is neither.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut selection = Self::of(&[]);
        for name in names {
            let mut found = false;
            for action in Action::ALL {
                let is_it = |category: Category| category.name() == name || action.name() == name;
                if action.category().is_some_and(is_it) {
                    (selection.0[action as usize], found) = (true, true);
                }
            }
            if !found {
                return Err(name.to_owned());
            }
        }
        Ok(selection)
    }

    /// Whether an action is among them.
    pub fn has(&self, action: Action) -> bool {
        self.0[action as usize]
    }

    /// The action by which something is counted that stands for several.
    pub fn standing_for(&self, action: Action) -> Action {
        if action == Action::UidChange && !self.has(action) { Action::GidChange } else { action }
    }

    /// Those that are in both.
    pub fn and(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n] && other.0[n]))
    }

    /// The shortest list of names for them.
    pub fn names(&self) -> Vec<&'static str> {
        let of = |category: Category| {
            Action::ALL.into_iter().filter(move |action| action.category() == Some(category))
        };
        Category::ALL
            .into_iter()
            .flat_map(|category| {
                if of(category).all(|action| self.has(action)) {
                    return vec![category.name()];
                }
                of(category).filter(|action| self.has(*action)).map(Action::name).collect()
            })
            .collect()
    }

    /// Every name that there is.
    pub fn every_name() -> impl Iterator<Item = &'static str> {
        let actions = Action::ALL.into_iter().filter(|action| action.category().is_some());
        Category::ALL.into_iter().map(Category::name).chain(actions.map(Action::name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_and_actions_are_both_names() {
        let some = Selection::named(["network", "exec"]).expect("known names");
        assert!(some.has(Action::Flow) && some.has(Action::Exec) && some.has(Action::Unknown));
        assert!(!some.has(Action::Fork));
        assert_eq!(some.names(), ["exec", "network"]);
        assert_eq!(Selection::named(some.names()), Ok(some));
        assert_eq!(Selection::named(["exec", "execs"]), Err("execs".to_owned()));
        assert_eq!(Selection::ALL.names(), ["process", "network"]);
        let processes = Selection::of(&[Category::Process]);
        assert_eq!(some.and(&processes).names(), ["exec"]);
    }

    #[test]
    fn every_name_names_something() {
        for name in Selection::every_name() {
            assert!(Selection::named([name]).is_ok(), "{name}");
        }
    }
}
