import CKernels
import Foundation

/// The places that `update` and `randwrite` change; always the same.
enum RandomChanges {
    /// What is stored there.
    static let value = -1.0

    static func places(_ number: Int, of count: Int) -> [Int] {
        var state = RandomRead.seed
        return (0..<number).map { _ in Int(kernels_next(&state) % UInt64(count)) }
    }

    /// What they change in the sum of elements i * 0.5.
    static func difference(_ places: [Int]) -> Double {
        Set(places).reduce(0.0) { $0 + value - Double($1) * 0.5 }
    }
}
