/// Several measurements of one thing made one.
extension Array where Element == Measurement {
    /// In the order of their first appearance, those of one system on one task together.
    private var groups: [[Measurement]] {
        var groups: [[Measurement]] = []
        for measurement in self {
            let known = groups.firstIndex {
                $0[0].system == measurement.system && $0[0].task == measurement.task
            }
            if let known { groups[known].append(measurement) } else { groups.append([measurement]) }
        }
        return groups
    }

    /// The first of each group, with what the others found out besides.
    package func joiningPhases() -> [Measurement] {
        groups.map { group in
            group.dropFirst().reduce(into: group[0]) { all, later in
                all.extra.merge(later.extra) { _, new in new }
            }
        }
    }

    /// The median of each group by time.
    ///
    /// On a shared machine the best run says what the code takes, the median what it got: both are there.
    package func mediansOfRounds() -> [Measurement] {
        groups.map { group in
            let sorted = group.sorted { $0.seconds < $1.seconds }
            var median = sorted[sorted.count / 2]
            if sorted.count > 1 { median.extra["best_seconds"] = .number(sorted[0].seconds) }
            return median
        }
    }
}
