import Testing

@testable import BenchReport

@Suite("Numbers for people")
struct QuantityTests {
    @Test(
        "Three digits that count",
        arguments: [
            (0, "0"), (500, "500"), (1_234_567, "1,234,567"), (-1_234, "-1,234"), (12.34, "12.3"),
            (0.514, "0.51"), (0.0123, "0.012"), (99.96, "100.0"), (1234.5, "1,234"),
        ])
    func plain(value: Double, text: String) { #expect(Quantity.plain(value) == text) }

    @Test("Units by name")
    func named() {
        #expect(Quantity.named("growth_bytes_per_update", 4096) == "4 KiB")
        #expect(Quantity.named("anonymous_MiB", 1536) == "1.50 GiB")
        #expect(Quantity.named("ms_per_block", 0.25) == "250 us")
        #expect(Quantity.named("best_seconds", 1.5) == "1.50 s")
        #expect(Quantity.named("changed_pages", 9_800) == "9,800")
    }

    @Test("Labels say no unit twice")
    func labels() {
        #expect(Quantity.label("growth_bytes_per_update") == "growth per update")
        #expect(Quantity.label("ms_per_block") == "per block")
        #expect(Quantity.label("ratio") == "ratio")
    }

    @Test("Speeds")
    func speeds() {
        #expect(Quantity.megabytesPerSecond(850) == "850 MB/s")
        #expect(Quantity.megabytesPerSecond(14_750) == "14.8 GB/s")
        #expect(Quantity.perSecond(620) == "620 /s")
        #expect(Quantity.perSecond(74_000_000) == "74 M/s")
        #expect(Quantity.perSecond(180_000) == "180 k/s")
    }

    @Test("A log scale has room for all, and a bar for the least")
    func scale() throws {
        let scale = try #require(LogScale([12, 0, 9_000]))
        #expect(scale == LogScale([12, 9_000]))
        #expect((scale.lowest, scale.highest) == (0, 4))
        #expect(scale.position(12) > 0.2 && scale.position(9_000) < 1)
        #expect(scale.position(100) == 0.5)
        #expect(scale.position(0) == 0)
        #expect(LogScale([0, .infinity]) == nil)
        #expect(LogScale([5])?.ticks == [1, 10])
        #expect(LogScale([1000])?.highest == 3)
    }
}
