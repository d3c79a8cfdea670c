import Foundation

/// Gives bytes to a Python script as `data`, with the independent `cbor2` package, and returns what it leaves in `out`.
func cbor2(_ script: String, _ data: [UInt8]) throws -> [UInt8] {
    let input = data.map { String(format: "%02x", $0) }.joined()
    let output = try numpy(
        "import cbor2, datetime, uuid\ndata = bytes.fromhex(sys.stdin.read())\n\(script)\nprint(out.hex())\n",
        input: input)
    let digits = Array(output.filter(\.isHexDigit))
    return stride(from: 0, to: digits.count, by: 2).compactMap {
        UInt8(String(digits[$0...($0 + 1)]), radix: 16)
    }
}
