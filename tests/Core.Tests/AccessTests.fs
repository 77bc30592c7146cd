module Mqtt5.Tests.AccessTests

open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses

let private grant subject allows scope pattern : AccessGrant =
    { Subject = subject; Allows = allows; Scope = scope; Pattern = pattern }

let private everyone allows scope pattern = grant AccessSubject.Everyone allows scope pattern

let private user name = if name = "" then ValueNone else ValueSome(Utf8String.Of name)

let private decide client name request (grants: AccessGrant list) =
    Access.decide request (Access.forClient (ClientId.Of client) (user name) grants)

let private mayPublish client name topic grants =
    decide client name (AccessRequest.Publish(TopicName.Of topic)) grants

let private maySubscribe client name filter grants =
    decide client name (AccessRequest.Subscribe(TopicFilter.Of filter)) grants

let private mayReceive client name topic grants =
    decide client name (AccessRequest.Receive(TopicName.Of topic)) grants

// Topics of up to four levels of a small alphabet: enough to tell apart any two filters of the generator.
let private universe =
    let levels = [ ""; "a"; "z"; "$s" ]

    [
        for one in levels do
            if one <> "" then
                one

            for two in levels do
                one + "/" + two

                for three in [ ""; "a"; "z" ] do
                    one + "/" + two + "/" + three

        "a/a/a/z"
        "b/z/a/a"
        "a//b/b"
        "$s/a/b/z"
    ]
    |> List.map TopicName.Of

let private filterText =
    let level = Gen.elements [ "a"; "b"; "+"; "" ]

    gen {
        let! levels = Gen.choose (1, 3) |> Gen.bind (fun count -> Gen.listOfLength count level)
        let! multi = Gen.elements [ true; false ]
        let text = String.concat "/" (if multi then levels @ [ "#" ] else levels)
        return if text = "" then "#" else text
    }

/// A grant's pattern, a filter that is asked for, and another grant that denies.
type Question = { Pattern: string; Denied: string; Asked: string }

type Questions =
    static member Question() : Arbitrary<Question> =
        Gen.map3
            (fun pattern denied asked -> { Pattern = pattern; Denied = denied; Asked = asked })
            filterText
            filterText
            filterText
        |> Arb.fromGen

let private config = { Clauses.config with arbitrary = [ typeof<Questions> ] }

let private fault text =
    match AccessFile.parse text with
    | Error fault -> fault
    | Ok grants -> failtest $"{grants.Length} grants, not a fault"

let private parsed text =
    match AccessFile.parse text with
    | Ok grants -> Seq.toList grants
    | Error fault -> failtest (fault.ToString())

let private deciding =
    [
        testPropertyWithConfig config "a topic is allowed if the standard matches it" (fun question ->
            let grants =
                [
                    everyone true AccessScope.All question.Pattern
                    everyone false AccessScope.All question.Denied
                ]

            for topic in universe do
                let expected =
                    Topic.matches (TopicFilter.Of question.Pattern) topic
                    && not (Topic.matches (TopicFilter.Of question.Denied) topic)

                Expect.equal (mayPublish "c" "" topic.Text grants) expected topic.Text
                Expect.equal (mayReceive "c" "" topic.Text grants) expected topic.Text)

        testPropertyWithConfig
            config
            "a filter that is allowed matches nothing beyond the grant"
            (fun question ->
                let grants = [ everyone true AccessScope.Subscribe question.Pattern ]
                let asked = TopicFilter.Of question.Asked

                if maySubscribe "c" "" question.Asked grants then
                    for topic in universe do
                        if Topic.matches asked topic then
                            Expect.isTrue
                                (Topic.matches (TopicFilter.Of question.Pattern) topic)
                                $"{question.Asked} gets {topic} although only {question.Pattern} is granted")

        testPropertyWithConfig
            config
            "a filter is allowed by its own grant, and by a wider one"
            (fun question ->
                let grants = [ everyone true AccessScope.Subscribe question.Asked ]
                Expect.isTrue (maySubscribe "c" "" question.Asked grants) "its own"
                Expect.isTrue (maySubscribe "c" "" ("$share/g/" + question.Asked) grants) "shared as well"

                if not (question.Asked.StartsWith '$') then
                    let grants = [ everyone true AccessScope.Subscribe "#" ]
                    Expect.isTrue (maySubscribe "c" "" question.Asked grants) "everything")

        testCase "what nobody grants is denied, and publishing is not subscribing" (fun () ->
            Expect.isFalse (mayPublish "c" "" "t" []) "nothing"
            let grants = [ everyone true AccessScope.Publish "t" ]
            Expect.isTrue (mayPublish "c" "" "t" grants) "granted"
            Expect.isFalse (mayReceive "c" "" "t" grants) "not that"
            Expect.isFalse (maySubscribe "c" "" "t" grants) "nor that")

        testCase "grants are for everyone, users, anonymous and clients" (fun () ->
            let allows subject client name =
                mayPublish client name "t" [ grant subject true AccessScope.All "t" ]

            Expect.isTrue (allows (AccessSubject.User "u") "c" "u") "the user"
            Expect.isFalse (allows (AccessSubject.User "u") "c" "U") "not another"
            Expect.isFalse (allows (AccessSubject.User "u") "u" "") "nor a client of that name"
            Expect.isTrue (allows AccessSubject.Anonymous "c" "") "anonymous"
            Expect.isFalse (allows AccessSubject.Anonymous "c" "u") "not a user"
            Expect.isTrue (allows (AccessSubject.Client "c") "c" "u") "the client"
            Expect.isFalse (allows (AccessSubject.Client "c") "d" "u") "not another")

        testCase "%c and %u stand for the client's own names, also within a level" (fun () ->
            let grants = [ everyone true AccessScope.All "dev/%c/%u-x" ]
            Expect.isTrue (mayPublish "c1" "u1" "dev/c1/u1-x" grants) "its own"
            Expect.isFalse (mayPublish "c1" "u1" "dev/c2/u1-x" grants) "not another's"
            Expect.isFalse (mayPublish "c1" "" "dev/c1/-x" grants) "not without a User Name"
            // A name is not looked into for placeholders.
            Expect.isTrue (mayPublish "%u" "u1" "dev/%u/u1-x" grants) "literally"
            Expect.isFalse (mayPublish "%u" "u1" "dev/u1/u1-x" grants) "only literally")

        testCase "a name with a wildcard or a separator reaches nobody else's topics" (fun () ->
            let grants = [ everyone true AccessScope.All "dev/%c/data" ]

            for name in [ "+"; "#"; "a/b"; "+/x" ] do
                for topic in [ "dev/other/data"; "dev/a/b/data"; "dev/a/data" ] do
                    Expect.isFalse (mayPublish name "" topic grants) $"{name} at {topic}"

                Expect.isFalse (maySubscribe name "" "dev/+/data" grants) name

            let grants = [ everyone true AccessScope.All "#"; everyone false AccessScope.All "dev/%c/data" ]

            Expect.isFalse (mayPublish "a/b" "" "dev/other/data" grants) "a denial then means any name")

        testCase "a name gives nobody the topics of the server" (fun () ->
            for pattern in [ "%c/#"; "%u/#"; "%c%u/#" ] do
                let grants = [ everyone true AccessScope.All pattern ]

                for name in [ "$SYS"; "$queue"; "$" ] do
                    Expect.isFalse
                        (maySubscribe name name "$SYS/broker/version" grants)
                        $"{pattern} for {name}"

                    Expect.isFalse (maySubscribe name name (name + "/#") grants) $"{pattern} for {name}"
                    Expect.isFalse (mayPublish name name (name + "/x") grants) $"{pattern} for {name}"

            let grants = [ everyone true AccessScope.All "dev/%c" ]

            Expect.isTrue
                (mayPublish "$SYS" "" "dev/$SYS" grants)
                "below the first level it is a name like any other"

            let grants = [ everyone true AccessScope.All "$SYS/#"; everyone false AccessScope.All "%c/#" ]
            Expect.isFalse (maySubscribe "$SYS" "" "$SYS/a" grants) "a denial holds for it"
            Expect.isTrue (maySubscribe "c" "" "$SYS/a" grants) "and for nobody else")

        testCase "%% is a percent sign, and what is unknown allows nothing" (fun () ->
            let grants = [ everyone true AccessScope.All "a%%c/%c" ]
            Expect.isTrue (mayPublish "x" "" "a%c/x" grants) "a percent sign"
            Expect.isFalse (mayPublish "x" "" "ax/x" grants) "and no placeholder"

            for pattern in [ "%d"; "a%"; "%C/x" ] do
                let grants = [ everyone true AccessScope.All pattern ]
                Expect.isFalse (mayPublish "x" "" pattern grants) pattern)

        testCase "messages need a check of their own only where something is denied" (fun () ->
            let access grants = Access.forClient (ClientId.Of "c") ValueNone grants

            Expect.isTrue (access [ everyone true AccessScope.All "#" ]).SubscriptionsSuffice "no denial"

            Expect.isTrue
                (access [ everyone false AccessScope.Publish "x" ]).SubscriptionsSuffice
                "of publishing"

            Expect.isFalse
                (access [ everyone false AccessScope.Subscribe "x" ]).SubscriptionsSuffice
                "a denial")
    ]

let private reading =
    [
        testCase "a file of rules" (fun () ->
            let text =
                "# who may do what\n\neveryone\n  allow subscribe news/#\nanonymous # nobody known\ndeny all   a/b \r\n"
                + "user alice b\n\tallow all plant/%u/#\nclient sensor-7\nallow publish plant/+/temp"

            Expect.equal
                (parsed text)
                [
                    everyone true AccessScope.Subscribe "news/#"
                    grant AccessSubject.Anonymous false AccessScope.All "a/b"
                    grant (AccessSubject.User "alice b") true AccessScope.All "plant/%u/#"
                    grant (AccessSubject.Client "sensor-7") true AccessScope.Publish "plant/+/temp"
                ]
                "as it is written"

            Expect.isEmpty (parsed "") "an empty one"
            Expect.isEmpty (parsed "\n  # only words\n") "only comments")

        testCase "a comment may follow a name or a filter, and quotes keep what looks like one" (fun () ->
            let subjects text = parsed (text + "\nallow all a") |> List.map (fun grant -> grant.Subject)

            Expect.equal (subjects "user bob # note") [ AccessSubject.User "bob" ] "a comment"
            Expect.equal (subjects "user bob\t #") [ AccessSubject.User "bob" ] "an empty one"
            Expect.equal (subjects "user bob#1") [ AccessSubject.User "bob#1" ] "no blank before it"
            Expect.equal (subjects "user \"bob # note\" # note") [ AccessSubject.User "bob # note" ] "quotes"

            Expect.equal
                (subjects "client \" a\\\"b\\\\ \"")
                [ AccessSubject.Client " a\"b\\ " ]
                "quotes within"

            let pattern text = (parsed ("everyone\nallow all " + text)).Head.Pattern

            Expect.equal (pattern "a/b # note") "a/b" "a comment behind a filter"
            Expect.equal (pattern "# # all") "#" "the filter that looks like a comment"
            Expect.equal (pattern "a b/+ ") "a b/+" "a blank within a filter")

        testCase "faults say where and what" (fun () ->
            let at text =
                let fault = fault text
                fault.Line, fault.Column

            Expect.equal (at "everyone\nallow publis x") (2L, 7L) "an unknown word"
            Expect.equal (at "everyone\n  permit all x") (2L, 3L) "an unknown verb"
            Expect.equal (at "everyone\nallow all ") (2L, 11L) "no filter"
            Expect.equal (at "allow all x") (1L, 11L) "nobody to grant it to"
            Expect.equal (at "everyone\n\nallow all a/#/b") (3L, 11L) "a filter that is none"
            Expect.equal (at "everyone\nallow all $share/g/a") (2L, 11L) "a shared one"
            Expect.equal (at "user") (1L, 5L) "no name"
            Expect.equal (at "user # note") (1L, 6L) "only a comment"
            Expect.equal (at "user \"bob") (1L, 10L) "quotes without an end"
            Expect.equal (at "user \"\"") (1L, 7L) "empty quotes"
            Expect.equal (at "everyone\nallow all a/%x/b") (2L, 13L) "an unknown placeholder"
            Expect.equal (at "everyone\nallow all a%") (2L, 12L) "a percent sign alone"
            Expect.equal (at "everyone\nallow all $%c/b") (2L, 11L) "a name behind $"
            Expect.stringContains (fault "everyone\nallow all %U").Detail "%u" "what was meant"
            Expect.equal (at "everyone nonsense") (1L, 10L) "something after it"
            Expect.stringContains (fault "everyone\nallow publis x").Detail "subscribe" "what was expected"
            Expect.stringContains ((fault "allow all x").ToString()) "line 1, column 11" "in words")

        testPropertyWithConfig config "what is written is read" (fun (question: Question) ->
            let grants =
                [
                    everyone true AccessScope.Publish question.Pattern
                    grant (AccessSubject.User "some one") false AccessScope.All question.Denied
                    grant (AccessSubject.Client "c") true AccessScope.Subscribe question.Asked
                ]

            let line (grant: AccessGrant) =
                let subject =
                    match grant.Subject with
                    | AccessSubject.Everyone -> "everyone"
                    | AccessSubject.Anonymous -> "anonymous"
                    | AccessSubject.User name -> $"user {name}"
                    | AccessSubject.Client name -> $"client {name}"

                let verb = if grant.Allows then "allow" else "deny"
                let scope = (string grant.Scope).ToLowerInvariant()
                $"{subject}\n{verb} {scope} {grant.Pattern}\n"

            Expect.equal (parsed (grants |> List.map line |> String.concat "")) grants "the same")
    ]

let tests = testList "Access" [ testList "deciding" deciding; testList "reading" reading ]
