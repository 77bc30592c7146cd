/// Generators of what packets are filled with: texts, topics, filters and bytes.
module Mqtt5.Verification.TextGenerators

open System
open System.Text
open FsCheck
open FsCheck.FSharp
open Mqtt5

/// A generator that hits each of the values now and then, and otherwise uses the other one.
let mixed (rarely: int) (rare: Gen<'T>) (usual: Gen<'T>) : Gen<'T> =
    Gen.frequency [ rarely, rare; 1000 - rarely, usual ]

/// Lengths at which a length on the wire takes another byte or ends.
let boundaryLength: Gen<int> =
    Gen.elements [ 126; 127; 128; 129; 16_382; 16_383; 16_384; 16_385; 65_534; 65_535 ]

let private rune (first: int) (last: int) : Gen<string> =
    Gen.choose (first, last) |> Gen.map (fun value -> Rune(value).ToString())

/// One character that a UTF-8 Encoded String may hold, as a string of one or two UTF-16 units: all lengths in
/// UTF-8, U+FEFF, control characters, non-characters, and what a notation or a topic treats specially.
let character: Gen<string> =
    Gen.frequency
        [
            40, rune (int 'a') (int 'f')
            10, rune 0x20 0x7E
            6, Gen.elements [ "\""; "\\"; "/"; "#"; "+"; "$"; "'"; "*"; "{"; "]"; "," ]
            4, Gen.elements [ "\u0001"; "\b"; "\t"; "\n"; "\f"; "\r"; "\u001B"; "\u007F"; "\u0085"; "\u009F" ]
            3, Gen.elements [ "\uFEFF"; "\uFFFD"; "\uFFFE"; "\uFFFF"; "\u2028"; "\u202E"; "\u0301"; "\u200D" ]
            4, rune 0x80 0x7FF
            4, rune 0x800 0xD7FF
            2, rune 0xE000 0xFFFD
            4, rune 0x10000 0x10FFFF
        ]

/// A text of some characters.
let characters (least: int) (most: int) : Gen<string> =
    gen {
        let! count = Gen.choose (least, most)
        let! parts = Gen.listOfLength count character
        return String.Concat parts
    }

/// A text of exactly this number of bytes in UTF-8: one character again and again, and the rest filled up.
let ofByteCount (count: int) : Gen<string> =
    gen {
        let! unit = character
        let size = Encoding.UTF8.GetByteCount unit
        return String.replicate (count / size) unit + String('z', count % size)
    }

/// A text that may be empty, is mostly short, and is rarely as long as a length on the wire changes its size.
let text: Gen<string> =
    mixed
        4
        (Gen.bind ofByteCount boundaryLength)
        (Gen.frequency [ 12, Gen.constant ""; 70, characters 1 6; 15, characters 7 24; 3, characters 25 70 ])

/// Any UTF-8 Encoded String.
let utf8String: Gen<Utf8String> = Gen.map Utf8String.Of text

let private isAllowed (character: char) = character <> '#' && character <> '+' && character <> '\000'

let private withoutWildcards (text: string) =
    match String.filter isAllowed text with
    | "" -> "a"
    | text -> text

let private levels (least: int) (most: int) (level: Gen<string>) : Gen<string> =
    gen {
        let! count = Gen.choose (least, most)
        let! parts = Gen.listOfLength count level
        return String.concat "/" parts
    }

let private level =
    Gen.frequency [ 10, Gen.elements [ "a"; "b"; "c" ]; 1, Gen.elements [ ""; "é"; "$SYS"; "ab" ] ]

let private hidden = mixed 120 (Gen.elements [ "$SYS/"; "$SYS/a/"; "$a/"; "$" ]) (Gen.constant "")

let private orSlash (text: string) = if text = "" then "/" else text

/// A topic name of few levels over a small alphabet, so that filters of <c>overlappingFilter</c> match it often.
let overlappingTopic: Gen<TopicName> =
    Gen.map2 (fun prefix rest -> TopicName.Of(orSlash (prefix + rest))) hidden (levels 1 5 level)

/// Any topic name: over a small alphabet, of any characters, or as long as can be.
let topicName: Gen<TopicName> =
    let wild = text |> Gen.map (withoutWildcards >> TopicName.Of)
    Gen.frequency [ 8, overlappingTopic; 2, wild ]

let private filterLevel = Gen.frequency [ 8, level; 3, Gen.constant "+" ]

let private filterEnd = Gen.frequency [ 3, Gen.constant ""; 1, Gen.constant "/#" ]

/// A topic filter without a ShareName over the alphabet of <c>overlappingTopic</c>.
let unsharedOverlappingFilter: Gen<TopicFilter> =
    let plain =
        Gen.map2 (fun rest last -> TopicFilter.Of(orSlash (rest + last))) (levels 1 5 filterLevel) filterEnd

    let afterHidden =
        Gen.map3
            (fun prefix rest last -> TopicFilter.Of(prefix + rest + last))
            (Gen.elements [ "$SYS/"; "$SYS/a/"; "$a/" ])
            (levels 1 3 filterLevel)
            filterEnd

    Gen.frequency
        [
            2, Gen.map TopicFilter.Of (Gen.elements [ "#"; "+"; "/"; "$SYS/#"; "+/#" ])
            16, plain
            2, afterHidden
        ]

// The ShareName and the filter of a shared subscription.
let private share (filter: TopicFilter) : Gen<TopicFilter> =
    Gen.elements [ "g"; "h"; "consumers"; "é" ]
    |> Gen.map (fun name -> TopicFilter.Of $"$share/{name}/{filter.Text}")

/// A topic filter, shared now and then, over the alphabet of <c>overlappingTopic</c>.
let overlappingFilter: Gen<TopicFilter> =
    Gen.frequency [ 4, unsharedOverlappingFilter; 1, Gen.bind share unsharedOverlappingFilter ]

/// Any topic filter: over a small alphabet, of any characters, or as long as can be; shared or not.
let topicFilter: Gen<TopicFilter> =
    let wild = text |> Gen.map (withoutWildcards >> TopicFilter.Of)
    Gen.frequency [ 8, overlappingFilter; 2, wild ]

/// Bytes of one length: random, one byte repeated, or text.
let bytesOfLength (length: int) : Gen<Bytes> =
    let random =
        gen {
            let! seed = Gen.choose (0, Int32.MaxValue)
            let array = Array.zeroCreate length
            Random(seed).NextBytes array
            return Bytes.OfArray array
        }

    let same =
        Gen.elements [ 0uy; 'a'B; 0x0Auy; 0x80uy; 0xFFuy ]
        |> Gen.map (fun value -> Bytes.OfArray(Array.replicate length value))

    Gen.frequency [ 4, random; 1, same ]

/// The UTF-8 form of a text.
let textBytes: Gen<Bytes> = Gen.map Bytes.OfText text

/// Any bytes up to 65,535: none, few, text, or as many as a length on the wire changes its size at.
let bytes: Gen<Bytes> =
    mixed
        4
        (Gen.bind bytesOfLength boundaryLength)
        (Gen.frequency
            [
                1, Gen.constant Bytes.Empty
                4, Gen.bind bytesOfLength (Gen.choose (1, 12))
                1, Gen.bind bytesOfLength (Gen.choose (13, 60))
                3, textBytes
            ])

/// A payload: as <c>bytes</c>, and also of lengths that take the Remaining Length over a boundary.
let payload: Gen<Bytes> =
    mixed
        12
        (Gen.oneof
            [
                Gen.bind bytesOfLength (Gen.choose (100, 135))
                Gen.bind bytesOfLength (Gen.choose (16_360, 16_390))
            ])
        bytes

/// Any number from a range, its ends and the boundaries of its encodings more often.
let number (minimum: uint32) (maximum: uint32) : Gen<uint32> =
    let special =
        [
            0u
            1u
            2u
            60u
            127u
            128u
            255u
            256u
            16_383u
            16_384u
            65_535u
            65_536u
            2_097_151u
            2_097_152u
        ]
        |> List.filter (fun value -> value >= minimum && value <= maximum)

    let any = Gen.choose64 (int64 minimum, int64 maximum) |> Gen.map uint32

    Gen.frequency [ 3, Gen.elements (minimum :: maximum :: special); 2, any ]

/// At least one User Property. Names repeat and are empty now and then.
let userProperties: Gen<UserProperties> =
    let property =
        Gen.map2
            (fun name value -> { UserProperty.Name = name; Value = value })
            (Gen.frequency [ 2, Gen.map Utf8String.Of (Gen.elements [ "k"; "k2"; "" ]); 1, utf8String ])
            utf8String

    gen {
        let! count = mixed 4 (Gen.choose (5, 40)) (Gen.choose (1, 4))
        let! properties = Gen.listOfLength count property
        let! twice = Gen.elements [ false; false; true ]
        // A property that stands twice, next to itself.
        return UserProperties.Of(if twice then properties[0] :: properties else properties)
    }
