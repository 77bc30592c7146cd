namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

/// What a packet has to be like: a type and conditions on fields, written as the notation of packets with some freedom.
///
/// - <c>field=value</c>: the field is there with this value, or has this value by default; <c>a|b</c>: any of them;
///   <c>3..5</c>: a number in this range; <c>rc=error</c>: a reason code of 0x80 or above.
/// - <c>!field</c>: the field is not there; <c>field!=$name</c>: it is there with another value.
/// - <c>id=$name</c>: the value is what the name was bound to before, or is bound to it now.
/// - <c>codes[a, b|c, error]</c>: one reason code after the other.
/// - <c>UserProperty=("k","v")</c>: all that are named are there in this order.
[<NoComparison>]
type PacketPattern =
    {
        /// The name of the packet type.
        Type: string
        /// The conditions, as they are written.
        Conditions: string list
    }

    override this.ToString() = String.Join(" ", this.Type :: this.Conditions)

/// Reads patterns and compares packets with them.
[<RequireQualifiedAccess>]
module PacketPattern =

    // Blanks, commas and the brackets of props, will and filters end a word, unless they stand in quotes, in a pair or
    // in a list of codes.
    let private words (text: string) =
        let found = List<string>()
        let word = Text.StringBuilder()
        let mutable quote = '\000'
        let mutable depth = 0

        let finish () =
            if word.Length > 0 then
                found.Add(word.ToString())
                word.Clear() |> ignore

        let mutable index = 0

        while index < text.Length do
            let c = text[index]

            if quote <> '\000' then
                word.Append c |> ignore

                if c = '\\' && index + 1 < text.Length then
                    index <- index + 1
                    word.Append text[index] |> ignore
                elif c = quote then
                    quote <- '\000'
            else
                match c with
                | '"'
                | '\'' ->
                    quote <- c
                    word.Append c |> ignore
                | '(' ->
                    depth <- depth + 1
                    word.Append c |> ignore
                | ')' ->
                    depth <- depth - 1
                    word.Append c |> ignore
                | '[' when word.ToString() = "codes" ->
                    depth <- depth + 1
                    word.Append c |> ignore
                | ']' when depth > 0 ->
                    depth <- depth - 1
                    word.Append c |> ignore
                | ' ' when depth > 0 -> ()
                | ' '
                | ',' when depth = 0 -> finish ()
                | '{'
                | '['
                | '}'
                | ']' -> finish ()
                | _ -> word.Append c |> ignore

            index <- index + 1

        finish ()
        List.ofSeq found

    /// Reads a pattern. Throws <see cref="T:System.ArgumentException"/> where no packet type is named.
    [<CompiledName("Parse")>]
    let parse (text: string) : PacketPattern =
        match words text with
        | packet :: conditions when Char.IsUpper packet[0] ->
            { Type = packet; Conditions = List.filter (fun word -> word <> "props") conditions }
        | _ -> invalidArg (nameof text) $"'{text}' begins with no packet type"

    let private defaults =
        Map
            [
                "dup", "0"
                "qos", "0"
                "retain", "0"
                "sp", "0"
                "rc", "Success"
                "clean", "0"
                "keepalive", "0"
            ]

    let private alternatives (value: string) =
        if value.StartsWith '"' || value.StartsWith '(' || value.StartsWith "x'" then
            [ value ]
        else
            List.ofArray (value.Split '|')

    let private reasonOf (text: string) =
        match Notation.parseReason text with
        | Ok code -> ValueSome code
        | Error _ -> ValueNone

    let private isError (text: string) =
        match reasonOf text with
        | ValueSome code -> byte code >= 0x80uy
        | ValueNone -> false

    let private codeMatches (expected: string) (actual: string) =
        alternatives expected
        |> List.exists (fun one ->
            match one with
            | "any" -> true
            | "error" -> isError actual
            | _ -> reasonOf one = reasonOf actual)

    let private codesOf (word: string) =
        word.Substring(6, word.Length - 7).Split([| ',' |], StringSplitOptions.RemoveEmptyEntries)

    let private inRange (range: string) (actual: string) =
        match range.Split ".." with
        | [| low; high |] ->
            match Int64.TryParse low, Int64.TryParse high, Int64.TryParse actual with
            | (true, low), (true, high), (true, value) -> value >= low && value <= high
            | _ -> false
        | _ -> false

    let private valueMatches (expected: string) (actual: string) =
        alternatives expected
        |> List.exists (fun one ->
            one = actual
            || one = "any"
            || one = "error" && isError actual
            || one.Contains ".." && inRange one actual)

    let private split (word: string) =
        match word.IndexOf '=' with
        | -1 -> struct (word, "")
        | at -> struct (word.Substring(0, at), word.Substring(at + 1))

    let private isSubsequence (expected: string list) (actual: string list) =
        let rec go expected actual =
            match expected, actual with
            | [], _ -> true
            | _, [] -> false
            | one :: rest, other :: others when one = other -> go rest others
            | _, _ :: others -> go expected others

        go expected actual

    /// Compares the notation of a packet with a pattern. Returns the names that are bound then, or nothing where it is
    /// another packet.
    [<CompiledName("Match")>]
    let matches
        (bound: Map<string, string>)
        (pattern: PacketPattern)
        (notation: string)
        : Map<string, string> voption =
        match words notation with
        | packet :: fields when packet = pattern.Type ->
            let valuesOf name =
                fields
                |> List.choose (fun field ->
                    let struct (key, value) = split field
                    if key = name then Some value else None)

            let check (bound: Map<string, string> voption) (condition: string) =
                match bound with
                | ValueNone -> ValueNone
                | ValueSome names ->
                    let holds result = if result then bound else ValueNone

                    if condition.StartsWith '!' then
                        holds (List.isEmpty (valuesOf (condition.Substring 1)))
                    elif condition.StartsWith "codes" then
                        let expected = if condition.StartsWith "codes[" then codesOf condition else [||]

                        let actual =
                            fields
                            |> List.tryFind _.StartsWith("codes[")
                            |> Option.map codesOf
                            |> Option.defaultValue [||]

                        match condition with
                        | "codes=error" -> holds (Array.exists isError actual)
                        | _ ->
                            holds (
                                expected.Length = actual.Length && Array.forall2 codeMatches expected actual
                            )
                    else
                        let struct (key, expected) = split condition

                        match valuesOf (key.TrimEnd '!') with
                        | actual when key.EndsWith '!' ->
                            let other = Map.tryFind expected names |> Option.defaultValue expected
                            holds (not actual.IsEmpty && not (List.contains other actual))
                        | [] ->
                            match Map.tryFind key defaults with
                            | Some value -> holds (valueMatches expected value)
                            | None -> holds (key = "payload" && expected = "\"\"")
                        | actual :: _ when expected.StartsWith '$' ->
                            match Map.tryFind expected names with
                            | Some known -> holds (known = actual)
                            | None -> ValueSome(Map.add expected actual names)
                        | actual -> holds (List.exists (valueMatches expected) actual)

            let ordered = pattern.Conditions |> List.filter _.StartsWith("UserProperty=")

            if isSubsequence ordered (fields |> List.filter _.StartsWith("UserProperty=")) then
                List.fold check (ValueSome bound) pattern.Conditions
            else
                ValueNone
        | _ -> ValueNone
