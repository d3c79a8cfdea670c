// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
]
let library = strict + [.strictMemorySafety()]

let package = Package(
    name: "zbigdb",
    products: [
        .library(name: "ZBigDB", targets: ["ZBigDB"]),
        .library(name: "VirtMem", targets: ["VirtMem"]),
        .executable(name: "zbigdb", targets: ["zbigdb"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"]), .brew(["lmdb"])]),
        .target(name: "CVirtMem", cSettings: [.define("_GNU_SOURCE")]),
        .systemLibrary(
            name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
        .target(name: "CChecksum"),
        .target(name: "CShuffle"),
        .target(name: "VirtMem", dependencies: ["CVirtMem"], swiftSettings: library),
        .target(
            name: "ZBigDB",
            dependencies: [
                "VirtMem", "CLMDB", "CZstd", "CChecksum", "CShuffle",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: library),
        .executableTarget(
            name: "zbigdb",
            dependencies: [
                "ZBigDB", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .target(
            name: "CVirtMemTestSupport", path: "Tests/CVirtMemTestSupport",
            cSettings: [.define("_GNU_SOURCE")]),
        .testTarget(
            name: "VirtMemTests", dependencies: ["VirtMem", "CVirtMemTestSupport"], exclude: ["ROWS.md"],
            swiftSettings: strict),
        .testTarget(
            name: "ZBigDBTests", dependencies: ["ZBigDB", "VirtMem"], exclude: ["ROWS.md"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
