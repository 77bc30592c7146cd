namespace Mqtt5

open System
open System.Text
open System.Text.Unicode

/// What is wrong with a text, and where.
[<Struct; NoComparison; NoEquality>]
type TextProblem =
    {
        /// The offset of the offending byte in the text's UTF-8 form.
        At: int
        /// The reason code that the standard names for it.
        Reason: ReasonCode
        /// The statement that is broken.
        Clause: string
        /// What is wrong, as a sentence without a full stop.
        Detail: string
    }

/// The rules of text on UTF-8 bytes: UTF-8 Encoded Strings, Topic Names and Topic Filters. The grammar applies
/// them to bytes of a peer and the smart constructors to strings of the application, so that both ends of the
/// library accept the same texts. None of them allocates unless it finds a problem.
[<RequireQualifiedAccess>]
module TextRules =

    let private malformed at clause detail =
        ValueSome { At = at; Reason = ReasonCode.MalformedPacket; Clause = clause; Detail = detail }

    let private notAllowed at clause detail =
        ValueSome { At = at; Reason = ReasonCode.ProtocolError; Clause = clause; Detail = detail }

    let private firstIllFormed (utf8: ReadOnlySpan<byte>) =
        let mutable at = 0
        let mutable scanning = true

        while scanning && at < utf8.Length do
            let mutable rune = Rune()
            let mutable length = 0

            if Rune.DecodeFromUtf8(utf8.Slice at, &rune, &length) = Buffers.OperationStatus.Done then
                at <- at + length
            else
                scanning <- false

        at

    /// The first problem of a UTF-8 Encoded String: ill-formed UTF-8, surrogates among it [MQTT-1.5.4-1], or
    /// U+0000 [MQTT-1.5.4-2]. U+FEFF is an ordinary character [MQTT-1.5.4-3]; control characters and
    /// non-characters are tolerated, as section 1.5.4 allows. MQTT 3.1.1 has the same rules [MQTT3-1.5.3-1]
    /// [MQTT3-1.5.3-2] [MQTT3-1.5.3-3] [MQTT3-4.7.3-3].
    let utf8Problem (utf8: ReadOnlySpan<byte>) : TextProblem voption =
        if utf8.Length > Spec.MaximumStringBytes then
            malformed Spec.MaximumStringBytes "MQTT-4.7.3-3" "the text takes more than 65,535 bytes in UTF-8"
        elif not (Utf8.IsValid utf8) then
            malformed (firstIllFormed utf8) "MQTT-1.5.4-1" "the bytes are not well-formed UTF-8"
        else
            match utf8.IndexOf 0uy with
            | -1 -> ValueNone
            | at -> malformed at "MQTT-1.5.4-2" "the text contains U+0000"

    let private wildcards = Buffers.SearchValues.Create("#+"B)

    /// The first problem of a Topic Name: those of a string, no character at all [MQTT-4.7.3-1], or a wildcard
    /// [MQTT-4.7.0-1], for which the caller names the statement of its field.
    let topicNameProblem (wildcardClause: string) (utf8: ReadOnlySpan<byte>) : TextProblem voption =
        if utf8.IsEmpty then
            notAllowed 0 "MQTT-4.7.3-1" "a Topic Name has at least one character"
        else
            match utf8Problem utf8 with
            | ValueNone ->
                match utf8.IndexOfAny wildcards with
                | -1 -> ValueNone
                | at -> notAllowed at wildcardClause "a Topic Name contains neither # nor +"
            | problem -> problem

    // `#` and `+` in the levels that follow `start` [MQTT-4.7.1-1] [MQTT-4.7.1-2].
    let private wildcardProblem (start: int) (utf8: ReadOnlySpan<byte>) =
        let mutable problem = ValueNone
        let mutable at = start

        while problem.IsNone && at < utf8.Length do
            let opensLevel = at = start || utf8[at - 1] = '/'B

            match utf8[at] with
            | '#'B when not opensLevel ->
                problem <- notAllowed at "MQTT-4.7.1-1" "# does not stand alone in its level"
            | '#'B when at <> utf8.Length - 1 ->
                problem <- notAllowed at "MQTT-4.7.1-1" "# is not the last character of the Topic Filter"
            | '+'B when not opensLevel || (at + 1 < utf8.Length && utf8[at + 1] <> '/'B) ->
                problem <- notAllowed at "MQTT-4.7.1-2" "+ does not fill a whole level of the Topic Filter"
            | _ -> at <- at + 1

        problem

    let internal sharePrefix = Bytes.OfText "$share/"

    /// The length of <c>$share/{ShareName}/</c> when a filter begins with <c>$share/</c>, else 0. It is -1 when
    /// the ShareName is not followed by a slash.
    let internal sharedPrefixLength (utf8: ReadOnlySpan<byte>) : int =
        if utf8.StartsWith sharePrefix.Span then
            match utf8.Slice(sharePrefix.Length).IndexOf '/'B with
            | -1 -> -1
            | slash -> sharePrefix.Length + slash + 1
        else
            0

    /// The first problem of a Topic Filter before MQTT 5, where <c>$share</c> is a level as any other: those of a string,
    /// no character at all [MQTT3-4.7.3-1], or a misplaced wildcard [MQTT3-4.7.1-2] [MQTT3-4.7.1-3].
    let unsharedFilterProblem (utf8: ReadOnlySpan<byte>) : TextProblem voption =
        if utf8.IsEmpty then
            notAllowed 0 "MQTT-4.7.3-1" "a Topic Filter has at least one character"
        else
            match utf8Problem utf8 with
            | ValueSome problem -> ValueSome problem
            | ValueNone -> wildcardProblem 0 utf8

    /// The first problem of a Topic Filter: those of a string, no character at all [MQTT-4.7.3-1], a misplaced
    /// wildcard [MQTT-4.7.1-1] [MQTT-4.7.1-2], or, where it begins with <c>$share/</c>, a ShareName that is
    /// empty or holds a wildcard [MQTT-4.8.2-1], or no Topic Filter after it [MQTT-4.8.2-2].
    let topicFilterProblem (utf8: ReadOnlySpan<byte>) : TextProblem voption =
        if utf8.IsEmpty then
            notAllowed 0 "MQTT-4.7.3-1" "a Topic Filter has at least one character"
        else
            match utf8Problem utf8 with
            | ValueSome problem -> ValueSome problem
            | ValueNone ->
                let name = sharePrefix.Length

                match sharedPrefixLength utf8 with
                | 0 -> wildcardProblem 0 utf8
                | -1 -> notAllowed utf8.Length "MQTT-4.8.2-2" "no / follows the ShareName"
                | start when start = name + 1 ->
                    notAllowed name "MQTT-4.8.2-1" "the ShareName has at least one character"
                | start ->
                    match utf8.Slice(name, start - 1 - name).IndexOfAny wildcards with
                    | -1 when start = utf8.Length ->
                        notAllowed start "MQTT-4.8.2-2" "no Topic Filter follows the ShareName"
                    | -1 -> wildcardProblem start utf8
                    | at -> notAllowed (name + at) "MQTT-4.8.2-2" "the ShareName contains neither # nor +"

    // Where the pattern of a filter starts that one of the two rules above accepts: behind a prefix of a shared
    // subscription that is well formed, else at 0.
    let internal patternStart (utf8: ReadOnlySpan<byte>) : int =
        let name = sharePrefix.Length

        match sharedPrefixLength utf8 with
        | start when start > name + 1 && start < utf8.Length ->
            if utf8.Slice(name, start - 1 - name).IndexOfAny wildcards < 0 then
                start
            else
                0
        | _ -> 0

    // The bytes of an application's string. Unpaired surrogates would silently become U+FFFD, so they are
    // looked for first.
    let internal encode (field: string) (text: string) : Result<byte[], Fault> =
        let mutable unpaired = -1
        let mutable at = 0

        while unpaired < 0 && at < text.Length do
            if Char.IsSurrogatePair(text, at) then at <- at + 2
            elif Char.IsSurrogate text[at] then unpaired <- at
            else at <- at + 1

        if unpaired >= 0 then
            Error(
                Fault.caller
                    ReasonCode.MalformedPacket
                    PacketType.Reserved
                    field
                    "MQTT-1.5.4-1"
                    $"the character at index {unpaired} is half of a surrogate pair"
            )
        else
            Ok(Encoding.UTF8.GetBytes text)

    let internal callerFault (field: string) (problem: TextProblem) : Fault =
        let detail = $"{problem.Detail} (at byte {problem.At} of its UTF-8 form)"
        Fault.caller problem.Reason PacketType.Reserved field problem.Clause detail

    let internal orThrow (result: Result<'T, Fault>) : 'T =
        match result with
        | Ok value -> value
        | Error fault -> raise (ArgumentException(fault.ToString()))

/// A text that can travel as a UTF-8 Encoded String (section 1.5.4): well formed, without U+0000, at most
/// 65,535 bytes. The default value is the empty string.
[<Struct; CustomEquality; NoComparison>]
type Utf8String private (text: string | null) =

    /// The text.
    member _.Text: string =
        match text with
        | null -> ""
        | text -> text

    /// True when there is no character.
    member this.IsEmpty = this.Text.Length = 0

    /// The number of bytes in UTF-8.
    member this.ByteCount = Encoding.UTF8.GetByteCount this.Text

    /// Checks a text. The fault blames the caller.
    static member Create(text: string) : Result<Utf8String, Fault> =
        match TextRules.encode "UTF-8 Encoded String" text with
        | Error fault -> Error fault
        | Ok utf8 ->
            match TextRules.utf8Problem (ReadOnlySpan utf8) with
            | ValueSome problem -> Error(TextRules.callerFault "UTF-8 Encoded String" problem)
            | ValueNone -> Ok(Utf8String text)

    /// Checks a text and throws <see cref="T:System.ArgumentException"/> where <c>Create</c> returns a fault.
    static member Of(text: string) : Utf8String = TextRules.orThrow (Utf8String.Create text)

    // For bytes that TextRules found no problem in.
    static member internal OfValid(utf8: ReadOnlySpan<byte>) = Utf8String(Encoding.UTF8.GetString utf8)

    /// True when both are the same characters; no normalization [MQTT-4.7.3-4].
    member this.Equals(other: Utf8String) = String.Equals(this.Text, other.Text)

    override this.Equals(other: obj) =
        match other with
        | :? Utf8String as text -> this.Equals text
        | _ -> false

    override this.GetHashCode() = this.Text.GetHashCode()

    /// The text.
    override this.ToString() = this.Text

    interface IEquatable<Utf8String> with
        member this.Equals other = this.Equals other

/// A valid Topic Name: 1 to 65,535 bytes, no wildcard, no U+0000 (section 4.7). Immutable.
[<Sealed; AllowNullLiteral(false)>]
type TopicName private (text: string, utf8: byte[]) =

    /// The name as text.
    member _.Text = text

    /// The name in UTF-8.
    member _.Utf8 = Bytes.OfArray utf8

    /// Checks a name. The fault blames the caller.
    static member Create(text: string) : Result<TopicName, Fault> =
        match TextRules.encode "Topic Name" text with
        | Error fault -> Error fault
        | Ok utf8 ->
            match TextRules.topicNameProblem "MQTT-4.7.0-1" (ReadOnlySpan utf8) with
            | ValueSome problem -> Error(TextRules.callerFault "Topic Name" problem)
            | ValueNone -> Ok(TopicName(text, utf8))

    /// Checks a name and throws <see cref="T:System.ArgumentException"/> where <c>Create</c> returns a fault.
    static member Of(text: string) : TopicName = TextRules.orThrow (TopicName.Create text)

    // For bytes that TextRules found no problem in.
    static member internal OfValid(utf8: ReadOnlySpan<byte>) =
        TopicName(Encoding.UTF8.GetString utf8, utf8.ToArray())

    /// True when both are the same characters; no normalization [MQTT-4.7.3-4].
    member _.Equals(other: TopicName | null) =
        match other with
        | null -> false
        | name -> String.Equals(text, name.Text)

    override this.Equals(other: obj) =
        match other with
        | :? TopicName as name -> this.Equals name
        | _ -> false

    override _.GetHashCode() = text.GetHashCode()

    /// The name as text.
    override _.ToString() = text

    interface IEquatable<TopicName> with
        member this.Equals other = this.Equals other

/// A valid Topic Filter, shared or not (sections 4.7 and 4.8.2). One that begins with <c>$share/</c> and is not shared, for
/// its ShareName is not well formed, comes from a client before MQTT 5 only. Immutable.
[<Sealed; AllowNullLiteral(false)>]
type TopicFilter private (text: string, utf8: byte[]) =
    let patternStart = TextRules.patternStart (ReadOnlySpan utf8)

    /// The whole filter as text, with <c>$share/{ShareName}/</c> if it has that. It identifies the subscription.
    member _.Text = text

    /// The whole filter in UTF-8.
    member _.Utf8 = Bytes.OfArray utf8

    /// True for a shared subscription: the filter begins with <c>$share/</c> and a ShareName.
    member _.IsShared = patternStart > 0

    /// The ShareName; empty when the filter is not shared.
    member _.ShareName =
        if patternStart = 0 then
            ""
        else
            let start = TextRules.sharePrefix.Length
            Encoding.UTF8.GetString(utf8, start, patternStart - 1 - start)

    /// The part that topics are matched with, in UTF-8: all of the filter, or what follows the ShareName.
    member _.Pattern = Bytes(ReadOnlyMemory(utf8, patternStart, utf8.Length - patternStart))

    /// True when the pattern has a wildcard.
    member this.HasWildcard = this.Pattern.Span.IndexOfAny('#'B, '+'B) >= 0

    /// Checks a filter. The fault blames the caller.
    static member Create(text: string) : Result<TopicFilter, Fault> =
        match TextRules.encode "Topic Filter" text with
        | Error fault -> Error fault
        | Ok utf8 ->
            match TextRules.topicFilterProblem (ReadOnlySpan utf8) with
            | ValueSome problem -> Error(TextRules.callerFault "Topic Filter" problem)
            | ValueNone -> Ok(TopicFilter(text, utf8))

    /// Checks a filter and throws <see cref="T:System.ArgumentException"/> where <c>Create</c> returns a fault.
    static member Of(text: string) : TopicFilter = TextRules.orThrow (TopicFilter.Create text)

    // For bytes that TextRules found no problem in.
    static member internal OfValid(utf8: ReadOnlySpan<byte>) =
        TopicFilter(Encoding.UTF8.GetString utf8, utf8.ToArray())

    /// True when both are the same characters; no normalization [MQTT-4.7.3-4].
    member _.Equals(other: TopicFilter | null) =
        match other with
        | null -> false
        | filter -> String.Equals(text, filter.Text)

    override this.Equals(other: obj) =
        match other with
        | :? TopicFilter as filter -> this.Equals filter
        | _ -> false

    override _.GetHashCode() = text.GetHashCode()

    /// The filter as text.
    override _.ToString() = text

    interface IEquatable<TopicFilter> with
        member this.Equals other = this.Equals other

/// A Client Identifier of at least one character (section 3.1.3.1). The default value is not valid.
[<Struct; CustomEquality; NoComparison>]
type ClientId private (text: Utf8String) =

    /// The identifier as text.
    member _.Text = text.Text

    /// The identifier as a string that can travel.
    member _.Utf8String = text

    /// Checks an identifier. The fault blames the caller.
    static member Create(text: string) : Result<ClientId, Fault> =
        match Utf8String.Create text with
        | Error fault -> Error { fault with Field = "Client Identifier" }
        | Ok text when text.IsEmpty ->
            Error(
                Fault.caller
                    ReasonCode.ClientIdentifierNotValid
                    PacketType.Connect
                    "Client Identifier"
                    "MQTT-3.1.3-5"
                    "the Client Identifier has no character; leave it out to have the server assign one"
            )
        | Ok text -> Ok(ClientId text)

    /// Checks an identifier and throws <see cref="T:System.ArgumentException"/> where <c>Create</c> returns a fault.
    static member Of(text: string) : ClientId = TextRules.orThrow (ClientId.Create text)

    // For a string that is known to have a character.
    static member internal OfValid(text: Utf8String) = ClientId text

    /// True when both are the same characters.
    member _.Equals(other: ClientId) = text.Equals other.Utf8String

    override this.Equals(other: obj) =
        match other with
        | :? ClientId as id -> this.Equals id
        | _ -> false

    override _.GetHashCode() = text.GetHashCode()

    /// The identifier as text.
    override _.ToString() = text.Text

    interface IEquatable<ClientId> with
        member this.Equals other = this.Equals other

/// Topic matching as the standard defines it (section 4.7).
[<RequireQualifiedAccess>]
module Topic =

    /// True when a filter matches a topic, level by level. This is the definition that every faster look-up is
    /// tested against: <c>#</c> matches its parent level and all below [MQTT-4.7.1-1], <c>+</c> one level
    /// [MQTT-4.7.1-2], a wildcard in first place nothing that begins with <c>$</c> [MQTT-4.7.2-1], and the rest
    /// only itself [MQTT-4.7.3-4]. A shared filter matches what its pattern matches.
    let matches (filter: TopicFilter) (topic: TopicName) : bool =
        let rec levels pattern name =
            match pattern, name with
            | [ "#" ], _ -> true
            | [], [] -> true
            | "+" :: pattern, _ :: name -> levels pattern name
            | level :: pattern, same :: name when level = same -> levels pattern name
            | _ -> false

        let pattern = Encoding.UTF8.GetString filter.Pattern.Span
        let hidden = topic.Text.StartsWith '$' && (pattern.StartsWith '#' || pattern.StartsWith '+')

        not hidden
        && levels (List.ofArray (pattern.Split '/')) (List.ofArray (topic.Text.Split '/'))
