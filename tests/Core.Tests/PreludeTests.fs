module Mqtt5.Tests.PreludeTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses

let private bytes =
    testList
        "Bytes"
        [
            testPropertyWithConfig
                config
                "are equal exactly when their content is, with the same hash"
                (fun (left: byte[], right: byte[]) ->
                    let one = Bytes.OfArray left
                    let same = Bytes.Copy(ReadOnlySpan left)
                    let other = Bytes.OfArray right

                    one.Equals same
                    && one.GetHashCode() = same.GetHashCode()
                    && one.Equals other = (left = right)
                    && (box one).Equals(box other) = (left = right))

            testCase "compare by content wherever they lie in memory" (fun () ->
                let array = [| 1uy; 2uy; 3uy; 2uy; 3uy |]
                let slice start = Bytes(ReadOnlyMemory(array, start, 2))
                Expect.equal (slice 1) (slice 3) "two slices"
                Expect.notEqual (slice 0) (slice 1) "other content"
                Expect.notEqual (slice 1) (Bytes.OfArray [| 2uy |]) "other length"
                Expect.isFalse ((slice 1).Equals(box "bytes")) "another type")

            testCase "borrow an array, copy a span" (fun () ->
                let array = [| 1uy |]
                let borrowed = Bytes.OfArray array
                let copied = Bytes.Copy(ReadOnlySpan array)
                array[0] <- 2uy
                Expect.equal borrowed.Span[0] 2uy "borrowed"
                Expect.equal copied.Span[0] 1uy "copied")

            testCase "show as hexadecimal" (fun () ->
                Expect.equal (string (Bytes.OfArray [| 0x0Auy; 0xFFuy |])) "0AFF" "text"
                Expect.equal (string Bytes.Empty) "" "no byte"
                Expect.isTrue Bytes.Empty.IsEmpty "empty"
                Expect.equal Unchecked.defaultof<Bytes> Bytes.Empty "the default value")

            testCase "of text are its UTF-8" (fun () ->
                Expect.equal (string (Bytes.OfText "a\u00e9")) "61C3A9" "text")
        ]

let private secret =
    let secret = Secret(Bytes.OfText "correct horse")

    let connect =
        Packet.Connect
            {
                CleanStart = true
                KeepAlive = 0us<s>
                Properties =
                    { ConnectProperties.Empty with
                        Authentication = ValueSome { Method = Utf8String.Of "M"; Data = ValueSome secret }
                    }
                ClientId = ValueNone
                Will = ValueNone
                UserName = ValueSome(Utf8String.Of "u")
                Password = ValueSome secret
            }

    testList
        "Secret"
        [
            testCase "never shows its content" (fun () ->
                let shown =
                    [
                        secret.ToString()
                        string secret
                        $"{secret}"
                        $"%A{secret}"
                        $"%O{secret}"
                        $"%A{ValueSome secret}"
                        $"%A{[ secret ]}"
                        String.Format("{0}", secret)
                        $"%A{connect}"
                        $"%O{connect}"
                        $"{connect}"
                    ]

                for text in shown do
                    Expect.stringContains text "***" "redacted"

                    for content in [ "correct"; "636F7272656374"; "99uy"; "99; 111"; "Y29ycmVjd" ] do
                        Expect.isFalse (text.Contains content) $"{content} in {text}")

            testCase "tells nothing by its hash but its length" (fun () ->
                let other = Secret(Bytes.OfText "wrong donkey!")
                Expect.equal (secret.GetHashCode()) (other.GetHashCode()) "same length"
                Expect.equal secret.Length 13 "length")

            testPropertyWithConfig
                config
                "are equal exactly when their content is"
                (fun (left: byte[], right: byte[]) ->
                    let secret (content: byte[]) = Secret(Bytes.OfArray content)

                    (secret left).Equals(secret (Array.copy left))
                    && (secret left).Equals(secret right) = (left = right)
                    && (box (secret left)).Equals(box (secret right)) = (left = right)
                    && not ((secret left).Equals(box (Bytes.OfArray left))))

            testCase "reveals its content where it is asked for" (fun () ->
                Expect.equal secret.Reveal (Bytes.OfText "correct horse") "content")
        ]

let private wireList =
    let of' (items: (string * string) list) = UserProperties.Of(items |> List.map UserProperty.Of)

    testList
        "WireList"
        [
            testPropertyWithConfig
                config
                "gives its items back in order, with duplicates"
                (Prop.forAll
                    (Arb.fromGen (
                        Gen.listOf (Gen.elements [ "a", "1"; "a", "2"; "", ""; "\u00e9", "\uFEFF" ])
                    ))
                    (fun items ->
                        let list = of' items
                        let read = [ for item in list -> item.Name.Text, item.Value.Text ]
                        read = items && list.Count = items.Length && list.IsEmpty = items.IsEmpty))

            testCase "is equal to a list of the same items in the same order" (fun () ->
                Expect.equal (of' [ "a", "b" ]) (of' [ "a", "b" ]) "same"
                Expect.equal ((of' [ "a", "b" ]).GetHashCode()) ((of' [ "a", "b" ]).GetHashCode()) "hash"
                Expect.notEqual (of' [ "a", "b"; "c", "d" ]) (of' [ "c", "d"; "a", "b" ]) "order"
                Expect.notEqual (of' [ "a", "b" ]) (of' [ "a", "b"; "a", "b" ]) "duplicates"
                Expect.isFalse ((of' []).Equals(null: obj | null)) "null")

            testCase "of another kind is not equal, though its bytes are" (fun () ->
                let filters = TopicFilterList.Of [ TopicFilter.Of "a" ]
                let codes = ReasonCodeList.OfValid filters.Wire
                Expect.equal codes.Wire filters.Wire "the same bytes"
                Expect.isFalse (codes.Equals(box filters)) "another kind")
        ]

let tests = testList "Prelude" [ bytes; secret; wireList ]
