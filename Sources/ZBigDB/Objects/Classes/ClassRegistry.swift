internal import Synchronization

/// The classes a program knows, by the names they are stored under.
enum ClassRegistry {
    private struct State {
        var classes: [String: PersistentObject.Type] = [
            Root.className: Root.self,
            ZBigFile.className: ZBigFile.self,
            BigArray.className: BigArray.self,
            MapObject.className: MapObject.self,
            ListObject.className: ListObject.self,
            PersistentCounter.className: PersistentCounter.self,
        ]
        var layouts: [ObjectIdentifier: ClassLayout] = [:]
    }

    private static let state = Mutex(State())

    /// Makes a class known.
    static func register(_ type: PersistentObject.Type) {
        let name = type.className
        let other = state.withLock { state in
            defer { state.classes[name] = type }
            return state.classes[name]
        }
        if let other, other != type {
            fatalError(
                "the classes \(other) and \(type) are both stored as \"\(name)\"; give one another className")
        }
    }

    static func find(_ name: String) -> PersistentObject.Type? { state.withLock { $0.classes[name] } }

    /// The layout of a class, which is registered with it.
    static func layout(of type: Persistent.Type) -> ClassLayout {
        let id = ObjectIdentifier(type)
        if let known = state.withLock({ $0.layouts[id] }) { return known }
        register(type)
        // Outside the lock: making the defaults may need other layouts.
        let layout = ClassLayout(type)
        state.withLock { $0.layouts[id] = layout }
        return layout
    }
}
