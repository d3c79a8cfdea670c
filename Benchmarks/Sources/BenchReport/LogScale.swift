import Foundation

/// Places numbers by their order of magnitude.
struct LogScale: Equatable {
    /// The powers of ten at both ends.
    let lowest: Int
    let highest: Int

    /// A scale with room for all values above zero; nil if there is none. The smallest gets a
    /// visible bar.
    init?(_ values: [Double]) {
        let positive = values.filter { $0 > 0 && $0.isFinite }
        guard let least = positive.min(), let most = positive.max() else { return nil }
        var lowest = Int(floor(log10(least)))
        if log10(least) - Double(lowest) < 0.15 { lowest -= 1 }
        self.lowest = lowest
        highest = max(Int(ceil(log10(most) - 1e-9)), lowest + 1)
    }

    /// Where a value lies, from 0 to 1.
    func position(_ value: Double) -> Double {
        guard value > 0 else { return 0 }
        let place = (log10(value) - Double(lowest)) / Double(highest - lowest)
        return min(max(place, 0), 1)
    }

    /// The powers of ten to draw lines at; every other one where there are many.
    var ticks: [Double] {
        let step = highest - lowest > 6 ? 2 : 1
        return stride(from: lowest, through: highest, by: step).map { pow(10, Double($0)) }
    }
}
