internal import Synchronization

/// Things that take time to make, each used by one at a time and then kept for the next.
final class Pool<Item: Sendable>: Sendable {
    private let most: Int
    private let idle = Mutex<[Item]>([])

    /// - Parameter most: how many are kept.
    init(keeping most: Int) { self.most = most }

    /// One that fits, if there is one.
    func take(where fits: (Item) -> Bool = { _ in true }) -> Item? {
        idle.withLock { idle in
            guard let index = idle.lastIndex(where: fits) else { return nil }
            return idle.remove(at: index)
        }
    }

    func put(_ item: Item) {
        idle.withLock { idle in
            if idle.count < most { idle.append(item) }
        }
    }
}
