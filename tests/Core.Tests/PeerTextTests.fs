module Mqtt5.Tests.PeerTextTests

open System
open System.Text
open Expecto
open Mqtt5

let private isHarmless (text: string) =
    text.EnumerateRunes()
    |> Seq.forall (fun rune ->
        match Rune.GetUnicodeCategory rune with
        | Globalization.UnicodeCategory.Control
        | Globalization.UnicodeCategory.Format
        | Globalization.UnicodeCategory.LineSeparator
        | Globalization.UnicodeCategory.ParagraphSeparator -> false
        | _ -> true)

let tests =
    testList
        "PeerText"
        [
            testCase "what moves the cursor, ends a line or turns the reading order is escaped" (fun () ->
                Expect.equal (PeerText.show "plain näme 名") "plain näme 名" "as it is"

                Expect.equal
                    (PeerText.show "a\r\nb\t\u001b[31m\u007f")
                    @"a\u000d\u000ab\u0009\u001b[31m\u007f"
                    "controls"

                Expect.equal
                    (PeerText.show "\u202e\u2066\u200f\u00ad\ufeff")
                    @"\u202e\u2066\u200f\u00ad\ufeff"
                    "formats"

                Expect.equal
                    (PeerText.show "\u2028\u2029\u0085\u00a0")
                    @"\u2028\u2029\u0085\u00a0"
                    "separators"

                Expect.equal
                    (PeerText.show @"\u000a")
                    @"\\u000a"
                    "a backslash, so that nothing can look escaped")

            testCase "a long text is cut and tells its length" (fun () ->
                let shown = PeerText.show (String('x', 60_000))
                Expect.equal shown (String('x', PeerText.MaximumCharacters) + "... (60000 characters)") "cut"
                let pairs = String.replicate 100 "\U0001F600"
                Expect.isFalse ((PeerText.show ("a" + pairs)).Contains '\uFFFD') "not within a character")

            testCase "a message keeps its lines if it is said so" (fun () ->
                Expect.equal (PeerText.escape "a\r\n\tb\u001b" true) "a\r\n\tb\\u001b" "lines"
                Expect.equal (PeerText.escape "a\n\\" false) @"a\u000a\" "one line, and backslashes stay")

            testCase "on a screen a character stands for each" (fun () ->
                Expect.equal
                    (PeerText.mask "a\u001b[2Jb\n\u202ec\u00a0名")
                    "a\uFFFD[2Jb\uFFFD\uFFFDc\u00a0名"
                    "masked"

                Expect.equal (PeerText.mask "plain") "plain" "as it is")

            testProperty "nothing shown is harmful or long" (fun (characters: char list) ->
                let text = String(List.toArray characters)
                let shown = PeerText.show text

                isHarmless shown
                && shown.Length <= 12 * PeerText.MaximumCharacters + 40
                && isHarmless (PeerText.escape text false)
                && isHarmless (PeerText.mask text))
        ]
