module Mqtt5.Tests.TopicsTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses

let private matches filter topic = Topic.matches (TopicFilter.Of filter) (TopicName.Of topic)

let private expectAll filter yes no =
    for topic in yes do
        Expect.isTrue (matches filter topic) $"{filter} matches {topic}"

    for topic in no do
        Expect.isFalse (matches filter topic) $"{filter} does not match {topic}"

// A caller's text is refused with this code and clause, and the exception says the same.
let private refuses
    (create: string -> Result<'T, Fault>)
    (reason: ReasonCode)
    (clause: string)
    (text: string)
    =
    match create text with
    | Ok value -> failtest $"accepted as {value}"
    | Error fault ->
        Expect.equal (fault.Reason, fault.Clause) (reason, clause) $"{fault}"
        Expect.equal fault.Blame Caller "blame"
        Expect.equal fault.Offset -1L "not found in bytes"

let private protocolError = ReasonCode.ProtocolError
let private malformed = ReasonCode.MalformedPacket

let private matching =
    testList
        "matching"
        [
            clause [ "MQTT-4.7.1-1" ] "# matches its parent level and everything below" (fun () ->
                expectAll
                    "sport/tennis/player1/#"
                    [
                        "sport/tennis/player1"
                        "sport/tennis/player1/ranking"
                        "sport/tennis/player1/score/wimbledon"
                    ]
                    [ "sport/tennis"; "sport/tennis/player2"; "sport/tennis/player11" ]

                expectAll "sport/#" [ "sport"; "sport/"; "sport/a/b" ] [ "sports"; "/sport"; "Sport" ]
                expectAll "#" [ "a"; "/"; "a/b"; "/a"; "a/" ] []
                expectAll "/#" [ "/"; "/a"; "/a/b" ] [ "a"; "a/b" ]
                expectAll "+/#" [ "a"; "a/b"; "/"; "/a" ] [ "$SYS"; "$SYS/a" ])

            clause [ "MQTT-4.7.1-2" ] "+ matches exactly one level, also an empty one" (fun () ->
                expectAll
                    "sport/tennis/+"
                    [ "sport/tennis/player1" ]
                    [ "sport/tennis/player1/ranking"; "sport/tennis" ]

                expectAll "sport/+" [ "sport/"; "sport/a" ] [ "sport"; "sport/a/b"; "sport//" ]
                expectAll "+" [ "finance"; "a" ] [ "/finance"; "a/"; "a/b" ]
                expectAll "+/+" [ "/finance"; "a/b"; "/" ] [ "finance"; "a/b/c" ]
                expectAll "/+" [ "/finance"; "/" ] [ "finance"; "/a/b" ]
                expectAll "+/b/+" [ "a/b/c"; "/b/" ] [ "a/b"; "a/c/b" ]
                expectAll "a/+/+" [ "a/b/c"; "a//" ] [ "a/b"; "a/b/c/d" ]
                expectAll "a/+/b" [ "a/x/b"; "a//b" ] [ "a/b" ]
                expectAll "+/tennis/#" [ "a/tennis"; "a/tennis/b/c" ] [ "tennis"; "a/b/tennis" ])

            clause
                [ "MQTT-4.7.2-1" ]
                "a wildcard in first place matches nothing that begins with $"
                (fun () ->
                    expectAll "#" [] [ "$SYS"; "$SYS/a"; "$" ]
                    expectAll "+" [] [ "$SYS" ]
                    expectAll "+/monitor/Clients" [ "a/monitor/Clients" ] [ "$SYS/monitor/Clients" ]
                    expectAll "$SYS/#" [ "$SYS"; "$SYS/a"; "$SYS/monitor/Clients" ] [ "SYS/a"; "$SYSTEM" ]
                    expectAll "$SYS/monitor/+" [ "$SYS/monitor/Clients" ] [ "$SYS/monitor" ]
                    expectAll "a/+" [ "a/$b" ] []
                    expectAll "a/#" [ "a/$b" ] [])

            clause [ "MQTT-4.7.3-4" ] "all else matches only itself, without normalization" (fun () ->
                expectAll "ACCOUNTS" [ "ACCOUNTS" ] [ "Accounts"; "accounts"; "ACCOUNTS/" ]
                expectAll "/finance" [ "/finance" ] [ "finance"; "/finance/" ]
                expectAll "a//b" [ "a//b" ] [ "a/b" ]
                expectAll "Accounts payable" [ "Accounts payable" ] [ "Accounts  payable" ]
                // One character, or a letter and a combining accent.
                expectAll "\u00e9" [ "\u00e9" ] [ "e\u0301" ]
                expectAll "\uFEFFa" [ "\uFEFFa" ] [ "a" ])

            testCase "a shared filter matches what its pattern matches" (fun () ->
                expectAll "$share/c//finance" [ "/finance" ] [ "finance"; "$share/c//finance" ]
                expectAll "$share/c/#" [ "a"; "a/b" ] [ "$SYS/a" ]
                expectAll "$share/c/a/+" [ "a/b" ] [ "a"; "c/a/b" ]
                expectAll "$shared/x" [ "$shared/x" ] [ "x" ]
                expectAll "$share" [ "$share" ] [])

            testPropertyWithConfig
                config
                "a filter of a topic's levels matches it, with any of them replaced by +"
                (Prop.forAll
                    (Arb.fromGen (
                        gen {
                            let! levels =
                                Gen.nonEmptyListOf (Gen.elements [ ""; "a"; "b"; "$x"; "\u00e9"; " " ])

                            let! wild = Gen.listOfLength levels.Length (Gen.elements [ true; false ])
                            return levels, wild
                        }
                    ))
                    (fun (levels, wild) ->
                        let topic = String.Join("/", levels)

                        let filter =
                            String.Join(
                                "/",
                                List.map2 (fun level wild -> if wild then "+" else level) levels wild
                            )

                        let hidden = topic.StartsWith '$' && filter.StartsWith '+'
                        topic = "" || filter = "" || matches filter topic <> hidden))
        ]

let private texts =
    testList
        "texts"
        [
            clause [ "MQTT-4.7.0-1" ] "a Topic Name contains no wildcard" (fun () ->
                for name in [ "#"; "+"; "a/#"; "a/+/b"; "a#"; "+a" ] do
                    refuses TopicName.Create protocolError "MQTT-4.7.0-1" name)

            clause [ "MQTT-4.7.3-1" ] "names and filters have a character" (fun () ->
                refuses TopicName.Create protocolError "MQTT-4.7.3-1" ""
                refuses TopicFilter.Create protocolError "MQTT-4.7.3-1" ""
                Expect.isOk (TopicName.Create " ") "a space is one"
                Expect.isOk (TopicName.Create "/") "a slash is one")

            clause [ "MQTT-4.7.3-2" ] "names and filters contain no U+0000" (fun () ->
                for text in [ "\000"; "a\000b"; "a/\000" ] do
                    refuses TopicName.Create malformed "MQTT-1.5.4-2" text
                    refuses TopicFilter.Create malformed "MQTT-1.5.4-2" text
                    refuses Utf8String.Create malformed "MQTT-1.5.4-2" text
                    refuses ClientId.Create malformed "MQTT-1.5.4-2" text)

            clause [ "MQTT-4.7.3-3" ] "names and filters take at most 65,535 bytes of UTF-8" (fun () ->
                let longest = String('a', 65_535)
                Expect.isOk (TopicName.Create longest) "the longest name"
                Expect.isOk (TopicFilter.Create longest) "the longest filter"
                Expect.isOk (Utf8String.Create longest) "the longest string"
                refuses TopicName.Create malformed "MQTT-4.7.3-3" (longest + "a")
                refuses TopicFilter.Create malformed "MQTT-4.7.3-3" (longest + "a")
                // Bytes count, not characters.
                refuses TopicName.Create malformed "MQTT-4.7.3-3" (String('\u00e9', 32_768))
                Expect.isOk (TopicName.Create(String('\u00e9', 32_767))) "65,534 bytes")

            clause [ "MQTT-1.5.4-1" ] "a string with half of a surrogate pair cannot be sent" (fun () ->
                // The compiler would write U+FFFD for half of a pair in a literal.
                let high, low = string (char 0xD800), string (char 0xDFFF)

                for text in [ high; "a" + low; low + high; high + "a" ] do
                    refuses Utf8String.Create malformed "MQTT-1.5.4-1" text
                    refuses TopicName.Create malformed "MQTT-1.5.4-1" text
                    refuses TopicFilter.Create malformed "MQTT-1.5.4-1" text
                    refuses ClientId.Create malformed "MQTT-1.5.4-1" text

                Expect.isOk (Utf8String.Create "\ud869\uded4") "a whole pair")

            clause [ "MQTT-1.5.4-3" ] "U+FEFF is kept" (fun () ->
                Expect.equal
                    (TopicName.Of "\uFEFFa").Utf8
                    (Bytes.OfArray [| 0xEFuy; 0xBBuy; 0xBFuy; 0x61uy |])
                    "bytes"

                Expect.equal (Utf8String.Of "\uFEFF").ByteCount 3 "bytes")

            clause [ "MQTT-4.7.1-1" ] "# stands alone in the last level of a filter" (fun () ->
                for filter in [ "sport/tennis#"; "sport/tennis/#/ranking"; "##"; "#/"; "a#/b" ] do
                    refuses TopicFilter.Create protocolError "MQTT-4.7.1-1" filter)

            clause [ "MQTT-4.7.1-2" ] "+ fills a whole level of a filter" (fun () ->
                for filter in [ "sport+"; "+sport"; "a/+b"; "a/b+/c"; "++" ] do
                    refuses TopicFilter.Create protocolError "MQTT-4.7.1-2" filter)

            clause [ "MQTT-4.8.2-1" ] "a ShareName has a character" (fun () ->
                refuses TopicFilter.Create protocolError "MQTT-4.8.2-1" "$share//a")

            clause [ "MQTT-4.8.2-2" ] "a ShareName has no wildcard, and a filter follows" (fun () ->
                for filter in
                    [ "$share/g"; "$share/g/"; "$share/g+/a"; "$share/+/a"; "$share/g#/a"; "$share/" ] do
                    refuses TopicFilter.Create protocolError "MQTT-4.8.2-2" filter)

            testCase "a shared filter knows its parts" (fun () ->
                let shared = TopicFilter.Of "$share/consumers//a/+"
                Expect.isTrue shared.IsShared "shared"
                Expect.equal shared.ShareName "consumers" "ShareName"
                Expect.equal shared.Pattern (Bytes.OfText "/a/+") "pattern"
                Expect.equal shared.Text "$share/consumers//a/+" "text"
                Expect.isTrue shared.HasWildcard "wildcard"

                for text in [ "a/b"; "$share"; "$shared/a"; "$SHARE/g/a" ] do
                    let plain = TopicFilter.Of text
                    Expect.isFalse plain.IsShared text
                    Expect.equal plain.ShareName "" text
                    Expect.equal plain.Pattern (Bytes.OfText text) text
                    Expect.isFalse plain.HasWildcard text)

            testCase "an empty Client Identifier is none" (fun () ->
                refuses ClientId.Create ReasonCode.ClientIdentifierNotValid "MQTT-3.1.3-5" "")

            testCase "Of throws where Create returns a fault" (fun () ->
                Expect.throwsT<ArgumentException> (fun () -> TopicName.Of "" |> ignore) "name"
                Expect.throwsT<ArgumentException> (fun () -> TopicFilter.Of "a#" |> ignore) "filter"
                Expect.throwsT<ArgumentException> (fun () -> Utf8String.Of "\000" |> ignore) "string"
                Expect.throwsT<ArgumentException> (fun () -> ClientId.Of "" |> ignore) "Client Identifier")

            testCase "the default string is the empty one" (fun () ->
                Expect.equal Unchecked.defaultof<Utf8String> (Utf8String.Of "") "equal"
                Expect.isTrue Unchecked.defaultof<Utf8String>.IsEmpty "empty")
        ]

let tests = testList "Topics" [ matching; texts ]
