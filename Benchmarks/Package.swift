// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that users of the library never fetch what only
// measuring needs.
let package = Package(
    name: "zbigdb-benchmarks",
    dependencies: [
        .package(name: "zbigdb", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
    ],
    targets: [
        .systemLibrary(
            name: "CLMDBBaseline", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"]), .brew(["lmdb"])]),
        .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3"])]),
        .target(name: "BenchFiles", dependencies: [.product(name: "VirtMem", package: "zbigdb")]),
        // What a measurement is, and how it is shown: apart, so that it can be tested without measuring.
        .target(name: "BenchReport"),
        .testTarget(name: "BenchReportTests", dependencies: ["BenchReport"]),
        .executableTarget(
            name: "VirtMemBenchmarks",
            dependencies: [
                "BenchFiles", "CKernels", .product(name: "Benchmark", package: "benchmark"),
                .product(name: "VirtMem", package: "zbigdb"),
            ],
            path: "Benchmarks/VirtMem",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
        .executableTarget(
            name: "zbigdb-bench",
            dependencies: [
                "BenchFiles", "BenchReport", "CKernels", "CLMDBBaseline",
                .product(name: "ZBigDB", package: "zbigdb"),
                .product(name: "VirtMem", package: "zbigdb"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
