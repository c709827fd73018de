use std::collections::HashMap;

/// Splits items into lanes: items that share a key, directly or through others, are in one lane, in their order.
///
/// Takes the keys of each item; gives each lane's item indexes.
#[must_use]
pub fn lanes(keys: &[Vec<String>]) -> Vec<Vec<usize>> {
    let mut lane_of: Vec<usize> = (0..keys.len()).collect();
    let mut holder: HashMap<&str, usize> = HashMap::new();
    for (index, item) in keys.iter().enumerate() {
        for key in item {
            if let Some(&other) = holder.get(key.as_str()) {
                let (keep, drop) = (root(&lane_of, other), root(&lane_of, index));
                if let Some(slot) = lane_of.get_mut(keep.max(drop)) {
                    *slot = keep.min(drop);
                }
            }
            holder.insert(key, index);
        }
    }
    let mut lanes: Vec<Vec<usize>> = vec![Vec::new(); keys.len()];
    for index in 0..keys.len() {
        if let Some(lane) = lanes.get_mut(root(&lane_of, index)) {
            lane.push(index);
        }
    }
    lanes.retain(|lane| !lane.is_empty());
    lanes
}

fn root(lane_of: &[usize], mut index: usize) -> usize {
    while let Some(&next) = lane_of.get(index) {
        if next == index {
            break;
        }
        index = next;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(keys: &[&[&str]]) -> Vec<Vec<usize>> {
        lanes(&keys.iter().map(|item| item.iter().map(ToString::to_string).collect()).collect::<Vec<_>>())
    }

    #[test]
    fn items_without_a_common_key_run_apart() {
        assert_eq!(split(&[&["a"], &["b"], &["c"]]), [vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn items_of_one_key_stay_in_order_in_one_lane() {
        assert_eq!(split(&[&["a"], &["b"], &["a"]]), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn items_joined_by_a_third_share_a_lane() {
        assert_eq!(split(&[&["a"], &["b"], &["a", "b"], &["c"], &["b"]]), [vec![0, 1, 2, 4], vec![3]]);
    }

    #[test]
    fn nothing_makes_no_lane() {
        assert!(split(&[]).is_empty());
    }
}
