namespace Mqtt5

open FParsec

/// Why an access file could not be read, and where.
[<NoComparison>]
type AccessFault =
    {
        /// The line, counted from 1.
        Line: int64
        /// The character in the line, counted from 1.
        Column: int64
        /// What was expected there, or what is wrong, as a sentence without a full stop.
        Detail: string
    }

    /// The fault in one line.
    override this.ToString() = $"line {this.Line}, column {this.Column}: {this.Detail}"

// The grammar, a line each:
//     # a comment
//     everyone | anonymous | user NAME | client NAME
//     allow | deny   publish | subscribe | all   FILTER
// A grant is for the subject above it. NAME and FILTER go to the end of their line, or to a comment: a # behind a blank. A
// NAME that holds such a #, or begins with one, or has blanks at its ends, stands in quotes, in which \ comes before " and \.
module private AccessGrammar =

    [<RequireQualifiedAccess>]
    type Line =
        | Subject of AccessSubject
        | Grant of allows: bool * scope: AccessScope * pattern: string * line: int64 * column: int64

    let private blank: Parser<unit, unit> = skipMany (anyOf " \t")

    let private word text : Parser<unit, unit> =
        skipString text .>> notFollowedBy (noneOf " \t\r\n#") <?> text

    // A # behind a blank begins a comment, except as the first character of what is read: a filter may be #.
    let private toEnd label (first: char -> bool) : Parser<string, unit> =
        let isInLine c = c <> '\r' && c <> '\n'
        let inner = satisfy (fun c -> isInLine c && c <> ' ' && c <> '\t')

        let gap =
            attempt (
                many1Satisfy (fun c -> c = ' ' || c = '\t')
                .>>. satisfy (fun c -> isInLine c && c <> '#')
            )
            |>> fun (blanks, next) -> blanks + string next

        let start = satisfy (fun c -> isInLine c && first c)

        blank
        >>. pipe2 start (manyStrings (gap <|> (inner |>> string))) (fun start rest -> string start + rest)
        <?> label

    let private quoted: Parser<string, unit> =
        let character = noneOf "\"\\\r\n" <|> (skipChar '\\' >>. (anyOf "\"\\" <?> "\" or \\"))

        between (skipChar '"') (skipChar '"' <?> "the end of the quotes") (many1Chars character)

    let private name label : Parser<string, unit> =
        blank >>. (quoted <|> toEnd label (fun c -> c <> '#' && c <> '"')) <?> label

    let private subject =
        choice
            [
                word "everyone" >>% AccessSubject.Everyone
                word "anonymous" >>% AccessSubject.Anonymous
                word "user" >>. name "a User Name" |>> AccessSubject.User
                word "client" >>. name "a Client Identifier" |>> AccessSubject.Client
            ]
        |>> Line.Subject

    let private scope =
        choice
            [
                word "publish" >>% AccessScope.Publish
                word "subscribe" >>% AccessScope.Subscribe
                word "all" >>% AccessScope.All
            ]

    let private grant =
        let allows = (word "allow" >>% true) <|> (word "deny" >>% false)

        pipe4
            (allows .>> blank)
            (scope .>> blank)
            getPosition
            (toEnd "a Topic Filter" (fun _ -> true))
            (fun allows scope at text -> Line.Grant(allows, scope, text, at.Line, at.Column))

    let private comment: Parser<unit, unit> = skipChar '#' >>. skipRestOfLine false

    let private lineEnd = blank >>. optional comment >>. (skipNewline <|> eof) <?> "the end of the line"

    let private line =
        blank >>. ((subject <|> grant |>> Some) <|> (lookAhead lineEnd >>% None))
        .>> lineEnd

    let file = manyTill line eof |>> List.choose id

/// Reads access rules from text.
[<RequireQualifiedAccess>]
module AccessFile =

    let private expectations (messages: ErrorMessageList) =
        let labels =
            ErrorMessageList.ToSortedArray messages
            |> Array.choose (fun message ->
                match message with
                | Expected label -> Some label
                | ExpectedString text
                | ExpectedStringCI text -> Some text
                | _ -> None)
            |> Array.distinct

        if labels.Length = 0 then
            "this is not a rule"
        else
            "expected " + String.concat " or " labels

    // Where a percent sign is followed by something that is no placeholder; -1: nowhere.
    let private unknownPlaceholder (pattern: string) =
        let mutable at = 0
        let mutable found = -1

        while at < pattern.Length && found < 0 do
            if pattern[at] <> '%' then
                at <- at + 1
            elif at + 1 < pattern.Length && "cu%".Contains pattern[at + 1] then
                at <- at + 2
            else
                found <- at

        found

    // What is wrong with a pattern, when any name stands for its placeholders, and how far from its beginning.
    let private patternProblem (pattern: string) =
        let sample = pattern.Replace("%%", "p").Replace("%c", "c").Replace("%u", "u")
        let unknown = unknownPlaceholder pattern
        let first = (pattern.Split '/')[0]

        if unknown >= 0 then
            ValueSome
                struct (unknown,
                        "expected %c for the Client Identifier, %u for the User Name or %% for a percent sign")
        elif first.StartsWith '$' && (first.Contains "%c" || first.Contains "%u") then
            ValueSome struct (0, "a name cannot be a part of a first level that begins with $")
        else
            match TopicFilter.Create sample with
            | Result.Error fault -> ValueSome struct (0, fault.Detail)
            | Result.Ok filter when filter.IsShared ->
                ValueSome struct (0, "a rule names the topics; it applies to shared subscriptions as well")
            | Result.Ok _ -> ValueNone

    let private assemble (lines: AccessGrammar.Line list) : Result<AccessGrant[], AccessFault> =
        let grants = ResizeArray<AccessGrant>()
        let mutable subject = ValueNone
        let mutable fault = ValueNone

        for line in lines do
            match line with
            | AccessGrammar.Line.Subject next -> subject <- ValueSome next
            | AccessGrammar.Line.Grant(allows, scope, pattern, number, column) when fault.IsNone ->
                let brokenAt offset detail =
                    ValueSome { Line = number; Column = column + int64 (offset: int); Detail = detail }


                match subject, patternProblem pattern with
                | ValueNone, _ ->
                    fault <-
                        brokenAt 0 "everyone, anonymous, user or client has to come before the first rule"
                | _, ValueSome(struct (offset, detail)) -> fault <- brokenAt offset detail
                | ValueSome subject, ValueNone ->
                    grants.Add { Subject = subject; Allows = allows; Scope = scope; Pattern = pattern }
            | AccessGrammar.Line.Grant _ -> ()

        match fault with
        | ValueSome fault -> Result.Error fault
        | ValueNone -> Result.Ok(grants.ToArray())

    /// The grants that a text holds, in order, or where it is wrong.
    [<CompiledName("Parse")>]
    let parse (text: string) : Result<AccessGrant[], AccessFault> =
        match run AccessGrammar.file text with
        | Success(lines, _, _) -> assemble lines
        | Failure(_, error, _) ->
            Result.Error
                {
                    Line = error.Position.Line
                    Column = error.Position.Column
                    Detail = expectations error.Messages
                }
