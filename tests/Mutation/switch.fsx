// Writes a fault into the source so that both forms are compiled, and a number in the environment chooses one when the
// process starts. Only changes of whole expressions or statements can be written so; plant.fsx plants the others alone.

module Switch

open System
open System.IO
open System.Text.RegularExpressions

/// The variable of the environment that holds the number of the fault.
let Variable = "MQTT5_PLANTED"

let private isFSharp (file: string) = file.EndsWith ".fs"
let private indentOf (line: string) = line.Length - line.TrimStart().Length

let private condition (file: string) number =
    if isFSharp file then
        $"Mqtt5Planted.Is {number}"
    else
        $"Mqtt5Planted.Is({number})"

let private opening, closing = "([{", ")]}"

/// Whether no bracket of the text is closed before it is opened or left open.
let private isBalanced (text: string) =
    let mutable depth, lowest = 0, 0

    for character in text do
        if opening.Contains character then
            depth <- depth + 1

        if closing.Contains character then
            depth <- depth - 1

        lowest <- min lowest depth

    depth = 0 && lowest = 0

/// The text with other characters in its strings, which are no code.
let private masked (text: string) =
    Regex.Replace(
        text,
        "\"(\\\\.|[^\"\\\\])*\"|'(\\\\.|[^'\\\\])'",
        fun (found: Match) ->
            found.Value.Substring(0, 1)
            + String('x', found.Length - 2)
            + found.Value.Substring(0, 1)
    )

// Places at which an expression begins.
let private begins (file: string) =
    if isFSharp file then
        Regex
            @"(?<=^\s*(if|elif|while|else|&&|\|\||return|\|>|yield|do) )|(?<= (then|else|when|->|<-|&&|\|\||in) )|(?<=^\s*(?!if |elif |while |&& |\|\| |\| |when )(let |member |static |\{ )?[\w.`' ():<>,&\[\]]+? = )|(?<=[;{] \w+ = )|(?<=[(,] ?)|^\s*(?=\S)"
    else
        Regex
            @"(?<=^\s*(return|&&|\|\||\?|:|await) )|(?<=^\s*(using )?(var |\w+[<>\w?]* )?[\w.\[\]]+ = )|(?<=\{ \w+ = )|(?<= => )|(?<=[(,] ?)|(?<= (\?|:|&&|\|\|) )|^\s*(?=\S)"

/// Where the expression ends that begins here, as a length: at a word of these, or where the brackets around it end.
let private lengthFrom (words: string list) (text: string) =
    let mutable depth, at, found = 0, 0, -1

    while found < 0 && at < text.Length do
        let character = text[at]

        if opening.Contains character then
            depth <- depth + 1

        if closing.Contains character then
            depth <- depth - 1

            if depth < 0 then
                found <- at

        if
            found < 0
            && depth = 0
            && (character = ','
                || words
                   |> List.exists (fun word -> String.CompareOrdinal(text, at, word, 0, word.Length) = 0))
        then
            found <- at

        at <- at + 1

    if found < 0 then text.Length else found

let private startsWithAny (words: string list) (line: string) =
    words |> List.exists (line.TrimStart().StartsWith: string -> bool)

/// One line in which one expression differs.
let private expression file number (before: string) (after: string) (next: string) =
    let shared = Seq.zip before after |> Seq.takeWhile (fun (a, b) -> a = b) |> Seq.length

    [
        for place in (begins file).Matches(masked before) do
            let start = place.Index + place.Length

            if start <= shared then
                start
    ]
    |> List.distinct
    |> List.sortDescending
    |> List.collect (fun start ->
        if isFSharp file then
            [
                start, [ " then"; " else"; " ->"; " do"; " && "; " || " ]
                start, [ " then"; " else"; " ->"; " do" ]
                start, []
            ]
        else
            [ start, [ " ? "; " : "; " && "; " || "; ";" ]; start, [ ";" ] ])
    |> List.tryPick (fun (start, words) ->
        let old, changed = before.Substring start, after.Substring start
        let oldLength, newLength = lengthFrom words (masked old), lengthFrom words (masked changed)
        let o, n = old.Substring(0, oldLength), changed.Substring(0, newLength)
        let rest = old.Substring oldLength
        let head = before.Substring(0, start)
        let isOperand = Regex.IsMatch(head, @"(&&|\|\|) $")
        // A pattern is no expression.
        let isPattern = startsWithAny [ "| " ] before && not (Regex.IsMatch(head, @" (when|->) "))

        if
            o.Trim() = ""
            || n.Trim() = ""
            || rest <> changed.Substring newLength
            || not (isBalanced (masked o) && isBalanced (masked n))
            || Regex.IsMatch(
                o + "\n" + n,
                @"(?m)(^(elif|else|then|when|match|let|use|member|fun|return|var|await|throw|case)\b|\b(with|fun|then|else)$|(=|->)$|=>|\bout var\b)"
            )
            // Without its other half.
            || List.exists
                (fun (text: string) -> text.StartsWith "if " && not (text.Contains " else "))
                [ o; n ]
            || startsWithAny [ "|"; "&&"; "||"; "?"; ":"; "."; "}" ] o
            || isPattern
            || (isOperand
                && List.exists (fun (text: string) -> text.Contains "||" || text.Contains "&&") [ o; n ])
            // The expression goes on in the next line.
            || (rest = ""
                && indentOf next > indentOf before
                && not (startsWithAny [ "&&"; "||" ] next))
            || (rest = "" && startsWithAny [ "|>"; "."; "?"; "+" ] next)
        then
            None
        elif isFSharp file then
            Some [ $"{head}(if {condition file number} then ({n}) else ({o})){rest}" ]
        elif head.Trim() = "" && not (startsWithAny [ ","; ")" ] rest) then
            None
        else
            Some [ $"{head}({condition file number} ? {n} : {o}){rest}" ])

/// Lines that are whole statements, or in F# the expression of a block.
let private statements
    file
    number
    (indent: string)
    (before: string list)
    (after: string list)
    (previous: string)
    (next: string)
    =
    let width = indent.Length
    let inside = List.map (fun (line: string) -> if line.Trim() = "" then "" else "    " + line)
    let lines = List.filter (fun (line: string) -> line.Trim() <> "") (before @ after)
    let isWhole (part: string list) = isBalanced (String.Join("\n", part))

    if
        not (isWhole before && isWhole after)
        || lines |> List.exists (fun line -> indentOf line < width)
    then
        None
    elif isFSharp file then
        let first = lines |> List.filter (fun line -> indentOf line = width)

        if
            first
            |> List.exists (
                startsWithAny
                    [ "|"; "let "; "use "; "&&"; "||"; "}"; "and "; "member "; "with"; "then"; "elif " ]
            )
            || (not before.IsEmpty && startsWithAny [ "else"; "elif"; "then" ] before.Head)
            || (not after.IsEmpty && startsWithAny [ "else"; "elif"; "then" ] after.Head)
            || (next.Trim() <> "" && indentOf next > width)
            || (indentOf next = width
                && startsWithAny [ "else"; "elif"; "then"; "|>"; "&&"; "||"; "with" ] next)
        then
            None
        else
            Some
                [
                    $"{indent}if {condition file number} then"
                    yield! inside (if after.IsEmpty then [ indent + "()" ] else after)
                    if not before.IsEmpty then
                        $"{indent}else"
                        yield! inside before
                ]
    else
        let isEnded (part: string list) =
            match List.tryLast (part |> List.filter (fun line -> line.Trim() <> "")) with
            | None -> true
            | Some line -> line.TrimEnd().EndsWith ';' || line.TrimEnd().EndsWith '}'

        let isEmbedded = not (Regex.IsMatch(previous.Trim(), @"(^$|^//.*|[;{}:])$"))

        if
            not (isEnded before && isEnded after)
            || lines
               |> List.exists (
                   startsWithAny
                       [
                           "&&"
                           "||"
                           "."
                           "?"
                           ":"
                           "else"
                           "case"
                           "var "
                           "using "
                           "public"
                           "private"
                           "internal"
                           "protected"
                       ]
               )
            || (isEmbedded && (before.Length <> 1 || after.Length > 1))
            || startsWithAny [ "else"; "." ] next
        then
            None
        else
            Some
                [
                    $"{indent}if ({condition file number})"
                    indent + "{"
                    yield! inside after
                    indent + "}"
                    if not before.IsEmpty then
                        indent + "else"
                        indent + "{"
                        yield! inside before
                        indent + "}"
                ]

/// An arm of a match with one more condition.
let private guarded (condition: string) (line: string) =
    let arrow =
        Seq.tryFind
            (fun at ->
                String.CompareOrdinal(line, at, " ->", 0, 3) = 0
                && isBalanced (line.Substring(0, at)))
            (seq { 0 .. line.Length - 3 })

    match arrow with
    | None -> line
    | Some at ->
        let pattern, body = line.Substring(0, at), line.Substring at

        match pattern.IndexOf " when " with
        | -1 -> $"{pattern} when {condition}{body}"
        | guard -> $"{pattern.Substring(0, guard)} when {condition} && ({pattern.Substring(guard + 6)}){body}"

/// Whole arms of a match.
let private arms file number (before: string list) (after: string list) (previous: string) (next: string) =
    let width = indentOf before.Head
    let isArm (line: string) = line.TrimStart().StartsWith "| "

    let isWhole (part: string list) =
        isArm part.Head
        && isBalanced (String.Join("\n", part))
        && part
           |> List.forall (fun line ->
               line = ""
               || (if indentOf line = width then isArm line else indentOf line > width))
        && part |> List.findBack isArm |> _.Contains(" ->")

    if
        not (isFSharp file && not after.IsEmpty && isWhole before && isWhole after)
        || indentOf next > width
        || (isArm previous && indentOf previous = width && not (previous.Contains " ->"))
    then
        None
    else
        let guard condition =
            List.map (fun line ->
                if isArm line && indentOf line = width then
                    guarded condition line
                else
                    line)

        Some(
            guard $"({condition file number})" after
            @ guard $"(not ({condition file number}))" before
        )

/// A condition of an arm that is left out or added, before a body of several lines.
let private guards file number (before: string) (after: string) =
    let arm = Regex @"^(?<pattern>\s*\| .*?)( when (?<guard>.*))? ->$"
    let old, changed = arm.Match before, arm.Match after

    if not (isFSharp file && old.Success && changed.Success) then
        None
    else
        match old.Groups["guard"], changed.Groups["guard"] with
        | old', changed' when old'.Success && not changed'.Success ->
            Some [ $"""{old.Groups["pattern"].Value} when ({condition file number} || ({old'.Value})) ->""" ]
        | old', changed' when
            not old'.Success
            && changed'.Success
            && old.Groups["pattern"].Value = changed.Groups["pattern"].Value
            ->
            Some
                [
                    $"""{old.Groups["pattern"].Value} when (not ({condition file number}) || ({changed'.Value})) ->"""
                ]
        | _ -> None

/// An operand of a condition that has its own line and is left out or added.
let private operand file number (line: string) isAdded =
    let text = line.Trim()
    let planted = condition file number
    let negated = if isFSharp file then $"not ({planted})" else $"!{planted}"

    if
        text.Length < 4
        || not (isBalanced text)
        || text.EndsWith ';'
        || (text.StartsWith "&&" && text.Substring(2).Contains "||")
    then
        None
    else
        let rest = text.Substring(2).Trim()
        let indent = line.Substring(0, indentOf line)

        match text.Substring(0, 2), isAdded with
        | "&&", true -> Some [ $"{indent}&& ({negated} || {rest})" ]
        | "&&", false -> Some [ $"{indent}&& ({planted} || {rest})" ]
        | "||", true -> Some [ $"{indent}|| ({planted} && ({rest}))" ]
        | "||", false -> Some [ $"{indent}|| ({negated} && ({rest}))" ]
        | _ -> None

/// The lines that take the place of those before; None: the change is no whole expression or statement.
let written
    (file: string)
    (number: int)
    (before: string list)
    (after: string list)
    (previous: string)
    (next: string)
    =
    let rec common (a: string list) (b: string list) =
        match a, b with
        | x :: a, y :: b when x = y -> 1 + common a b
        | _ -> 0

    let whole = {| Previous = previous; Next = next |}
    let front = common before after
    let before', after' = List.skip front before, List.skip front after
    let back = common (List.rev before') (List.rev after')
    let changed = List.take (before'.Length - back) before'
    let instead = List.take (after'.Length - back) after'
    let last = List.skip changed.Length before'
    let previous = if front > 0 then before[front - 1] else previous
    let next = if back > 0 then last.Head else next

    let middle =
        match changed, instead with
        | [ one ], [ other ] ->
            expression file number one other next
            |> Option.orElseWith (fun () -> guards file number one other)
            |> Option.orElseWith (fun () ->
                statements file number (one.Substring(0, indentOf one)) changed instead previous next)
        | [], [] -> None
        // Arms before all others.
        | [], added when
            isFSharp file
            && previous.TrimEnd().EndsWith " with"
            && added
               |> List.forall (fun line -> startsWithAny [ "| " ] line && line.Contains " ->")
            ->
            Some(added |> List.map (guarded $"({condition file number})"))
        | [], [ one ] when startsWithAny [ "&&"; "||" ] one -> operand file number one true
        | [ one ], [] when startsWithAny [ "&&"; "||" ] one -> operand file number one false
        | _ ->
            let first = if changed.IsEmpty then instead.Head else changed.Head
            statements file number (first.Substring(0, indentOf first)) changed instead previous next

    middle
    |> Option.map (fun middle -> List.take front before @ middle @ last)
    |> Option.orElseWith (fun () -> arms file number before after whole.Previous whole.Next)

/// The project that a source belongs to.
let private projectOf (tree: string) (file: string) =
    let rec up (folder: string) =
        match Directory.GetFiles(folder, "*.??proj") with
        | [| project |] -> project
        | _ -> up (string (Path.GetDirectoryName folder))

    up (string (Path.GetDirectoryName(Path.Combine(tree, file))))

/// What has to be added for the switch in the projects of these sources: the files and their text.
let support (tree: string) (files: string list) : (string * string) list =
    [
        for project in files |> List.map (projectOf tree) |> List.distinct do
            let folder = string (Path.GetDirectoryName project)

            if project.EndsWith ".fsproj" then
                let text = File.ReadAllText project
                let at = text.IndexOf "<Compile Include"
                let name = "Mqtt5Planted.fs"

                if not (text.Contains name) then
                    project, text.Insert(at, $"<Compile Include=\"{name}\" />\n    ")

                Path.Combine(folder, name),
                $"""/// The fault that was chosen when the process started.
[<Microsoft.FSharp.Core.AutoOpen>]
module Mqtt5PlantedModule

/// The fault that was chosen when the process started.
[<AbstractClass; Sealed>]
type Mqtt5Planted private () =
    static let chosen =
        match System.Environment.GetEnvironmentVariable "{Variable}" with
        | null -> -1
        | number -> int number

    /// Whether this fault was chosen.
    static member Is(number: int) = number = chosen
"""
            else
                Path.Combine(folder, "Mqtt5Planted.cs"),
                $$"""
                internal static class Mqtt5Planted
                {
                    private static readonly int Chosen = int.Parse(System.Environment.GetEnvironmentVariable("{{Variable}}") ?? "-1");

                    internal static bool Is(int number) => number == Chosen;
                }
                """
    ]
