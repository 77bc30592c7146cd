namespace Mqtt5

open System
open FParsec

// A position in the text and what stands there.
[<Struct; NoComparison; NoEquality>]
type internal Located<'T> = { Line: int; Column: int; Item: 'T }

// A value before it is known what it is for. Text and bytes have their repetitions carried out.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type internal NotationValue =
    | Number of uint64
    | Word of string
    | Text of Bytes
    | Binary of Bytes
    | Pair of Name: Located<Bytes> * Value: Located<Bytes>
    | Hidden

[<RequireQualifiedAccess; NoComparison; NoEquality>]
type internal NotationContent =
    // name=value
    | Value of Located<NotationValue>
    // name{name=value, ...}
    | Properties of struct (Located<string> * Located<NotationValue>) list
    // name[..., ...]
    | Groups of NotationGroup list

// The text between two commas: values, then fields.
and [<NoComparison; NoEquality>] internal NotationGroup =
    { Start: Located<unit>; Values: Located<NotationValue> list; Fields: NotationField list }

and [<NoComparison; NoEquality>] internal NotationField = { Name: Located<string>; Content: NotationContent }

// A packet's line: its type, and its fields in the order in which they stand.
[<NoComparison; NoEquality>]
type internal NotationLine =
    { Direction: Direction voption; Type: Located<string>; Fields: NotationField list }

// The syntax of notation with FParsec. What names and values mean is decided in NotationParse. There is no
// recursion: braces and brackets nest two deep at most, so the stack needed does not depend on the text.
[<RequireQualifiedAccess>]
module internal NotationSyntax =

    // How many bytes repetitions may still make. It bounds what a short text can have allocated.
    [<Struct; NoComparison; NoEquality>]
    type State = { BytesLeft: int64 }

    let fault line column message expected : NotationFault =
        { Line = line; Column = column; Message = message; Expected = expected }

    let faultAt (at: Located<'T>) message expected = fault at.Line at.Column message expected

    let oneOf (names: seq<string>) =
        let names = Seq.toArray names

        match names.Length with
        | 0 -> ""
        | 1 -> names[0]
        | count -> String.Join(", ", names[.. count - 2]) + " or " + names[count - 1]

    // A fault of our own travels through FParsec as an error message that FParsec does not look into.
    let fail (fault: NotationFault) : Reply<'T> = Reply(FatalError, otherError (box fault))

    let located (parser: Parser<'T, State>) : Parser<Located<'T>, State> =
        fun stream ->
            let line = int stream.Line
            let column = int stream.Column
            let reply = parser stream

            if reply.Status = Ok then
                Reply(Ok, { Line = line; Column = column; Item = reply.Result }, reply.Error)
            else
                Reply(reply.Status, reply.Error)

    let private here: Parser<Located<unit>, State> = located (preturn ())

    let private isBlank c = c = ' ' || c = '\t'

    let blanks: Parser<unit, State> = skipManySatisfy isBlank

    let private separated: Parser<unit, State> = skipMany1SatisfyL isBlank "a space"

    let private word label : Parser<string, State> =
        many1Satisfy2L isAsciiLetter (fun c -> isAsciiLetter c || isDigit c) label

    let private escape: Parser<string, State> =
        let simple =
            anyOf "\"\\/bfnrt"
            |>> function
                | 'b' -> "\b"
                | 'f' -> "\f"
                | 'n' -> "\n"
                | 'r' -> "\r"
                | 't' -> "\t"
                | other -> string other

        let unicode =
            skipChar 'u' >>. manyMinMaxSatisfyL 4 4 isHex "four hexadecimal digits"
            |>> fun digits -> string (char (Convert.ToUInt16(digits, 16)))

        (skipChar '\\' <?> "an escape")
        >>. ((simple <|> unicode)
             <?> "one of \" \\ / b f n r t, or u and four hexadecimal digits")

    let private isPlain (c: char) = c >= ' ' && c <> '"' && c <> '\\'

    let private quoted: Parser<string, State> =
        let content = manyStrings (many1SatisfyL isPlain "a character" <|> escape)
        skipChar '"' >>. content .>> (skipChar '"' <?> "\" to end the text")

    let private digits: Parser<uint64, State> =
        // More than eighteen digits are above every range, whatever they are.
        let value (digits: string) =
            let digits = digits.TrimStart '0'

            if digits.Length > 18 then UInt64.MaxValue
            elif digits = "" then 0UL
            else Convert.ToUInt64 digits

        many1SatisfyL isDigit "a number" |>> value

    let private number: Parser<uint64, State> =
        let value (digits: string) =
            let digits = digits.TrimStart '0'

            if digits.Length > 15 then UInt64.MaxValue
            elif digits = "" then 0UL
            else Convert.ToUInt64(digits, 16)

        (skipString "0x" >>. many1SatisfyL isHex "hexadecimal digits" |>> value)
        <|> digits
        <?> "a number"

    // The literal and its repetition. The size is known before anything of it is made.
    let private repeated (literal: Parser<Bytes, State>) : Parser<Bytes, State> =
        let count = opt (skipChar '*' >>. located (digits <?> "how often to repeat, at least 1"))

        fun stream ->
            let reply = literal stream

            if reply.Status <> Ok then
                reply
            else
                let unit = reply.Result
                let reply = count stream

                if reply.Status <> Ok then
                    Reply(reply.Status, reply.Error)
                else
                    match reply.Result with
                    | None -> Reply unit
                    | Some count when count.Item = 0UL ->
                        fail (faultAt count "a repetition count is 0" "how often to repeat, at least 1")
                    | Some count ->
                        let left = stream.UserState.BytesLeft

                        if
                            count.Item > uint64 Spec.MaximumPacketBytes
                            || int64 count.Item * int64 unit.Length > left
                        then
                            fail (
                                faultAt
                                    count
                                    $"the repetitions come to more than {Spec.MaximumPacketBytes} bytes in all"
                                    ""
                            )
                        else
                            let all = Array.zeroCreate<byte>(int count.Item * unit.Length)
                            let mutable at = 0

                            while at < all.Length do
                                unit.Span.CopyTo(all.AsSpan at)
                                at <- at + unit.Length

                            stream.UserState <- { BytesLeft = left - int64 all.Length }
                            Reply(Bytes.OfArray all)

    // Half of a surrogate pair, raw or escaped, has no UTF-8 form.
    let private encoded: Parser<Bytes, State> =
        fun stream ->
            let line = int stream.Line
            let column = int stream.Column
            let reply = quoted stream

            if reply.Status <> Ok then
                Reply(reply.Status, reply.Error)
            else
                match TextRules.encode "text" reply.Result with
                | Result.Ok utf8 -> Reply(Ok, Bytes.OfArray utf8, reply.Error)
                | Result.Error fault' -> fail (fault line column $"in this text {fault'.Detail}" "")

    let text: Parser<Bytes, State> = repeated encoded <?> "a text in quotes"

    let private hex: Parser<Bytes, State> =
        let content =
            manySatisfy isHex
            .>>. located (skipChar '\'' <?> "' after the hexadecimal digits")

        skipString "x'" >>. content
        >>= fun (digits, last) ->
            if digits.Length % 2 = 0 then
                preturn (Bytes.OfArray(Convert.FromHexString digits))
            else
                fun _ -> fail (faultAt last "the last byte has only one hexadecimal digit" "another digit")

    let private binary: Parser<Bytes, State> = repeated hex <?> "bytes as x'...'"

    let private pair: Parser<NotationValue, State> =
        between
            (skipChar '(' >>. blanks)
            (skipChar ')')
            (pipe2
                (located text .>> blanks .>> skipChar ',' .>> blanks)
                (located text .>> blanks)
                (fun name value -> NotationValue.Pair(name, value)))

    let private value: Parser<Located<NotationValue>, State> =
        choice
            [
                text |>> NotationValue.Text
                binary |>> NotationValue.Binary
                number |>> NotationValue.Number
                pair
                skipString "***" >>% NotationValue.Hidden
                word "a name" |>> NotationValue.Word
            ]
        |> located
        <?> "a value"

    let private comma: Parser<unit, State> = skipChar ',' >>. blanks

    let private braces: Parser<NotationContent, State> =
        let property = tuple2 (located (word "a property")) (skipChar '=' >>. value .>> blanks)

        between
            (skipChar '{' >>. blanks)
            (skipChar '}')
            (sepBy (property |>> fun (name, value) -> struct (name, value)) comma)
        |>> NotationContent.Properties

    let private equals: Parser<NotationContent, State> = skipChar '=' >>. value |>> NotationContent.Value

    let private fieldWith (content: Parser<NotationContent, State>) : Parser<NotationField, State> =
        pipe2 (located (word "a field")) content (fun name content -> { Name = name; Content = content })

    // A word without = or { after it is a value, such as a reason code.
    let private element: Parser<Choice<Located<NotationValue>, NotationField>, State> =
        let named (name: Located<string>) =
            choice
                [
                    (equals <|> braces)
                    |>> fun content -> Choice2Of2 { Name = name; Content = content }
                    preturn (
                        Choice1Of2
                            { Line = name.Line; Column = name.Column; Item = NotationValue.Word name.Item }
                    )
                ]

        choice
            [
                text |>> NotationValue.Text |> located |>> Choice1Of2
                binary |>> NotationValue.Binary |> located |>> Choice1Of2
                number |>> NotationValue.Number |> located |>> Choice1Of2
                located (word "a field") >>= named
            ]

    let private group: Parser<NotationGroup, State> =
        let split start elements =
            {
                Start = start
                Values =
                    elements
                    |> List.choose (function
                        | Choice1Of2 value -> Some value
                        | Choice2Of2 _ -> None)
                Fields =
                    elements
                    |> List.choose (function
                        | Choice2Of2 field -> Some field
                        | Choice1Of2 _ -> None)
            }

        pipe2 here (sepEndBy1 element separated) split

    let private brackets: Parser<NotationContent, State> =
        between (skipChar '[' >>. blanks) (skipChar ']') (sepBy group comma)
        |>> NotationContent.Groups

    let private field = fieldWith (equals <|> braces <|> brackets)

    let private direction: Parser<Direction voption, State> =
        choice
            [
                skipString "[c>s]" >>% ValueSome ClientToServer
                skipString "[s>c]" >>% ValueSome ServerToClient
                skipString "[any]" >>% ValueNone
            ]
        .>> separated

    let private lineAfter direction : Parser<NotationLine, State> =
        pipe3
            direction
            (located (word "a packet type"))
            ((separated >>. sepEndBy field separated) <|>% [])
            (fun direction kind fields -> { Direction = direction; Type = kind; Fields = fields })

    // The line of a packet, up to where its last field or the blanks after it end.
    let line: Parser<NotationLine, State> = lineAfter (preturn ValueNone)

    // The line of a packet after its direction, which may be missing.
    let tracedLine: Parser<NotationLine, State> = lineAfter (direction <|>% ValueNone)

    // A subscription: a Topic Filter and its options.
    let subscription: Parser<NotationGroup, State> = group

    // A value alone.
    let alone: Parser<Located<NotationValue>, State> = value

    // Numbers with their units, nothing between them.
    let duration: Parser<struct (Located<uint64> * Located<string>) list, State> =
        let unit = many1SatisfyL isAsciiLower "one of d, h, m, s, ms"
        many1 (pipe2 (located digits) (located unit) (fun number unit -> struct (number, unit)))

    let private comment: Parser<unit, State> = skipChar '#' >>. skipRestOfLine false

    let private endOfLine: Parser<unit, State> =
        optional comment >>. (skipNewline <|> eof) <?> "the end of the line"

    // Blanks, empty lines and comments.
    let nothing: Parser<unit, State> =
        skipMany (choice [ skipMany1Satisfy isBlank; skipNewline; comment ] <?> "")

    // What one line of text holds, made into what it means.
    let lineOf
        (syntax: Parser<'Syntax, State>)
        (meaning: 'Syntax -> Result<'T, NotationFault>)
        : Parser<'T, State> =
        fun stream ->
            let reply = (syntax .>> blanks .>> endOfLine) stream

            if reply.Status <> Ok then
                Reply(reply.Status, reply.Error)
            else
                match meaning reply.Result with
                | Result.Ok value -> Reply value
                | Result.Error fault -> fail fault

    let private explain (stream: CharStream<State>) (errors: ErrorMessageList) : NotationFault =
        let messages = ErrorMessageList.ToSortedArray errors

        let own =
            messages
            |> Array.tryPick (function
                | OtherErrorMessage(:? NotationFault as fault) -> Some fault
                | _ -> None)

        match own with
        | Some fault -> fault
        | None ->
            let message =
                if stream.IsEndOfStream then
                    "the text ends too early"
                else
                    "unexpected character"

            let expected =
                messages
                |> Array.choose (function
                    | Expected "" -> None
                    | Expected label -> Some label
                    | ExpectedString text -> Some $"{text}"
                    | _ -> None)

            fault (int stream.Line) (int stream.Column) message (oneOf expected)

    // Applies a parser to a whole text.
    let run (parser: Parser<'T, State>) (text: string) : Result<'T, NotationFault> =
        use stream = new CharStream<State>(text, 0, text.Length)
        stream.UserState <- { BytesLeft = int64 Spec.MaximumPacketBytes }
        let reply = parser stream

        if reply.Status = Ok then
            Result.Ok reply.Result
        else
            Result.Error(explain stream reply.Error)
