// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that users of the library never fetch what only
// measuring needs.
let package = Package(
    name: "zbigdb-benchmarks",
    dependencies: [
        .package(name: "zbigdb", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CLMDBBaseline", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"]), .brew(["lmdb"])]),
        .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3"])]),
        .executableTarget(
            name: "zbigdb-bench",
            dependencies: [
                "CKernels", "CLMDBBaseline", .product(name: "ZBigDB", package: "zbigdb"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
