//! Direct dependencies in, complete dependency lists out, in the order that depmod gives them.
//!
//! A list in `modules.dep` is in reverse load order: what has to be loaded first comes last. depmod sorts all modules
//! at once, users before what they use, and every list follows that one order (kmod tools/depmod.c,
//! `depmod_calculate_dependencies`); so does this.

/// For each module the indexes of all modules it needs, directly or not, in the order of `modules.dep`.
///
/// The second value lists the modules in a dependency cycle, or needed by one: no order between them exists, so they
/// come in the
/// given order. Indexes in `direct` must be smaller than its length.
pub(super) fn complete_dependencies(direct: &[Vec<usize>]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let (position, cyclic) = users_first(direct);
    let mut seen_by = vec![usize::MAX; direct.len()];
    let complete = (0..direct.len()).map(|module| {
        let mut needed = Vec::new();
        let mut pending = vec![module];
        // The module itself counts as seen, so a cycle does not make it its own dependency.
        seen_by[module] = module;
        while let Some(user) = pending.pop() {
            for &dependency in &direct[user] {
                if std::mem::replace(&mut seen_by[dependency], module) != module {
                    needed.push(dependency);
                    pending.push(dependency);
                }
            }
        }
        needed.sort_unstable_by_key(|&dependency| position[dependency]);
        needed
    });
    (complete.collect(), cyclic)
}

/// The place of each module in an order with users first, and the modules that no such order can hold.
fn users_first(direct: &[Vec<usize>]) -> (Vec<usize>, Vec<usize>) {
    let mut users = vec![0usize; direct.len()];
    for &dependency in direct.iter().flatten() {
        users[dependency] += 1;
    }
    let mut position = vec![usize::MAX; direct.len()];
    let mut ready: Vec<usize> = (0..direct.len()).filter(|&module| users[module] == 0).collect();
    let mut n_sorted = 0;
    while let Some(module) = ready.pop() {
        position[module] = n_sorted;
        n_sorted += 1;
        for &dependency in &direct[module] {
            users[dependency] -= 1;
            if users[dependency] == 0 {
                ready.push(dependency);
            }
        }
    }
    let cyclic: Vec<usize> = (0..direct.len()).filter(|&module| position[module] == usize::MAX).collect();
    for &module in &cyclic {
        position[module] = n_sorted;
        n_sorted += 1;
    }
    (position, cyclic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_complete_and_in_reverse_load_order() {
        // 0 needs 1 and 2, 1 needs 2, 2 needs 3.
        let (lists, cyclic) = complete_dependencies(&[vec![2, 1], vec![2], vec![3], vec![]]);
        assert_eq!(lists, [vec![1, 2, 3], vec![2, 3], vec![3], vec![]]);
        assert!(cyclic.is_empty());
    }

    #[test]
    fn cycles_terminate_and_are_named() {
        let (lists, cyclic) = complete_dependencies(&[vec![1], vec![0], vec![0], vec![3]]);
        assert_eq!(lists, [vec![1], vec![0], vec![0, 1], vec![]]);
        assert_eq!(cyclic, [0, 1, 3]);
    }
}
