namespace Mqtt5

open System
open System.Buffers
open System.Buffers.Binary
open System.Collections.Generic

/// A record of the journal: a change, as it is stored.
[<RequireQualifiedAccess; NoComparison>]
type JournalRecord =
    /// A change of what the broker knows beside the messages of its sessions.
    | Broker of Change: StoredChange
    /// A change of what a session keeps.
    | Session of Session: SessionId * Change: SessionChange
    /// The numbers of the next session and of the next connection, which are not used again, and the time at which the
    /// group was made.
    | Counters of NextSession: SessionId * NextConnection: ConnectionId * WrittenAt: UnixTime

/// The bytes of the journal. A group is what is made durable at once: a header of <c>HeaderBytes</c> bytes - the version of
/// the format, the length of the records and the CRC-32C of all else - and the records, one after another. A message that
/// many sessions keep stands in its group once.
[<RequireQualifiedAccess>]
module JournalCodec =

    /// The version of the format, which is the first byte of a group.
    [<Literal>]
    let Format = 1

    /// The size of the header of a group, in bytes.
    [<Literal>]
    let HeaderBytes = 9

    [<Literal>]
    let private ChecksumAt = 5

    let private add crc (bytes: ReadOnlySpan<byte>) =
        let mutable crc: uint32 = crc
        let mutable rest = bytes

        while rest.Length >= 8 do
            crc <- Numerics.BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian rest)
            rest <- rest.Slice 8

        for index in 0 .. rest.Length - 1 do
            crc <- Numerics.BitOperations.Crc32C(crc, rest[index])

        crc

    let private checksum (group: ReadOnlySpan<byte>) =
        add (add UInt32.MaxValue (group.Slice(0, ChecksumAt))) (group.Slice HeaderBytes)
        ^^^ UInt32.MaxValue

    /// Begins a group: leaves room for its header.
    [<CompiledName("Start")>]
    let start (output: IBufferWriter<byte>) : unit =
        output.GetSpan(HeaderBytes).Slice(0, HeaderBytes).Clear()
        output.Advance HeaderBytes

    /// Ends a group that <c>start</c> began: fills in its header.
    [<CompiledName("Seal")>]
    let seal (group: Span<byte>) : unit =
        group[0] <- byte Format
        BinaryPrimitives.WriteInt32LittleEndian(group.Slice 1, group.Length - HeaderBytes)

        BinaryPrimitives.WriteUInt32LittleEndian(
            group.Slice ChecksumAt,
            checksum (Span<byte>.op_Implicit group)
        )

    let private fault kind offset field detail =
        ValueSome { Kind = kind; Offset = offset; Field = field; Detail = detail }

    /// Why a group cannot be read; absent: it is as it was written.
    [<CompiledName("Check")>]
    let check (group: ReadOnlySpan<byte>) : JournalFault voption =
        let damaged = fault JournalFaultKind.Damaged

        if group.IsEmpty || (group[0] = byte Format && group.Length < HeaderBytes) then
            damaged group.Length "header" "the group ends before it does"
        elif int group[0] > Format then
            fault JournalFaultKind.Newer 0 "format" $"it is {group[0]}, and at most {Format} can be read"
        elif int group[0] < Format then
            damaged 0 "format" $"there is no format {group[0]}"
        else
            let length = BinaryPrimitives.ReadInt32LittleEndian(group.Slice 1)

            if length <> group.Length - HeaderBytes then
                damaged 1 "length" $"{group.Length - HeaderBytes} bytes follow, and not {length}"
            elif
                BinaryPrimitives.ReadUInt32LittleEndian(group.Slice ChecksumAt)
                <> checksum group
            then
                damaged ChecksumAt "checksum" "it is not that of the bytes"
            else
                ValueNone

    module private Tag =
        [<Literal>]
        let SessionSet = 1uy

        [<Literal>]
        let SessionEnded = 2uy

        [<Literal>]
        let Subscribed = 3uy

        [<Literal>]
        let Unsubscribed = 4uy

        [<Literal>]
        let Retained = 5uy

        [<Literal>]
        let RetainedRemoved = 6uy

        [<Literal>]
        let Kept = 16uy

        // A message whose body stands before it in the group.
        [<Literal>]
        let KeptAgain = 17uy

        [<Literal>]
        let Moved = 18uy

        [<Literal>]
        let Gone = 19uy

        [<Literal>]
        let Numbered = 20uy

        [<Literal>]
        let Held = 21uy

        [<Literal>]
        let Freed = 22uy

        [<Literal>]
        let Cleared = 23uy

        [<Literal>]
        let Counters = 32uy

    let private writeOwner (entry: StoredOwner) output =
        JournalWriter.integer entry.Session.Value output
        JournalWriter.text entry.ClientId.Text output
        JournalWriter.optionalText entry.Owner output
        JournalWriter.optionalText entry.Address output
        JournalWriter.integer entry.Epoch output
        JournalWriter.integer entry.Connection.Value output
        JournalWriter.integer (int64 entry.SessionExpiry) output
        JournalBodies.writeWill entry.Will output
        JournalWriter.optionalTime entry.WillAt output
        JournalWriter.optionalTime entry.EndsAt output
        JournalWriter.optionalTime entry.AwaySince output

    let private readOwner (cursor: byref<JournalCursor>) : StoredOwner =
        {
            Session = SessionId(cursor.Integer "session")
            ClientId = cursor.ClientId "Client Identifier"
            Owner = cursor.OptionalText "user"
            Address = cursor.OptionalText "address"
            Epoch = cursor.Integer "epoch"
            Connection = ConnectionId(cursor.Integer "connection")
            SessionExpiry =
                LanguagePrimitives.UInt32WithMeasure(
                    uint32 (cursor.Within("Session Expiry Interval", 0L, int64 UInt32.MaxValue))
                )
            Will = JournalBodies.readWill &cursor
            WillAt = cursor.OptionalTime "time of the Will"
            EndsAt = cursor.OptionalTime "end of the session"
            AwaySince = cursor.OptionalTime "time of the disconnect"
        }

    let private writeRetained (message: StoredRetained) output =
        JournalWriter.integer message.Publisher.Value output

        JournalWriter.optionalText
            (match message.PublisherId with
             | ValueSome id -> ValueSome id.Text
             | ValueNone -> ValueNone)
            output

        let properties = message.Properties
        JournalBodies.write message.Topic message.Payload message.QoS true properties message.ExpiresAt output

    let private readRetained (cursor: byref<JournalCursor>) : StoredRetained =
        let publisher = SessionId(cursor.Integer "publisher")

        let publisherId =
            if cursor.Flag "Client Identifier" then
                ValueSome(cursor.ClientId "Client Identifier")
            else
                ValueNone

        let body = JournalBodies.read &cursor

        {
            Topic = body.Topic
            Payload = body.Payload
            QoS = body.QoS
            Properties = body.Properties
            ExpiresAt = body.ExpiresAt
            Publisher = publisher
            PublisherId = publisherId
        }

    let private writeChange (change: StoredChange) (output: IBufferWriter<byte>) =
        match change with
        | StoredChange.SessionSet entry ->
            JournalWriter.byte Tag.SessionSet output
            writeOwner entry output
        | StoredChange.SessionEnded(session, client) ->
            JournalWriter.byte Tag.SessionEnded output
            JournalWriter.integer session.Value output
            JournalWriter.text client.Text output
        | StoredChange.Subscribed(session, filter, options, identifier) ->
            JournalWriter.byte Tag.Subscribed output
            JournalWriter.integer session.Value output
            JournalWriter.bytes filter.Utf8.Span output
            JournalWriter.byte options.Byte output
            // No Subscription Identifier is 0.
            JournalWriter.integer (int64 (ValueOption.defaultValue 0u identifier)) output
        | StoredChange.Unsubscribed(session, filter) ->
            JournalWriter.byte Tag.Unsubscribed output
            JournalWriter.integer session.Value output
            JournalWriter.bytes filter.Utf8.Span output
        | StoredChange.Retained message ->
            JournalWriter.byte Tag.Retained output
            writeRetained message output
        | StoredChange.RetainedRemoved topic ->
            JournalWriter.byte Tag.RetainedRemoved output
            JournalWriter.bytes topic.Utf8.Span output

    let private readOptions (cursor: byref<JournalCursor>) : SubscriptionOptions =
        let start = cursor.At
        let options = cursor.Byte "Subscription Options"

        if
            options &&& 0x03uy = 3uy
            || options &&& 0x30uy = 0x30uy
            || options &&& 0xC0uy <> 0uy
        then
            cursor.Fail(start, "Subscription Options", "no subscription has them")

        SubscriptionOptions.OfValid options

    let private readSubscribed (cursor: byref<JournalCursor>) =
        let session = SessionId(cursor.Integer "session")
        let filter = cursor.TopicFilter "Topic Filter"
        let options = readOptions &cursor

        let identifier =
            match cursor.Within("Subscription Identifier", 0L, 268_435_455L) with
            | 0L -> ValueNone
            | identifier -> ValueSome(uint32 identifier)

        StoredChange.Subscribed(session, filter, options, identifier)

    let private writePlace (place: StoredPlace) output =
        match place with
        | StoredPlace.Waiting -> JournalWriter.byte 0uy output
        | StoredPlace.Sent id ->
            JournalWriter.byte 1uy output
            JournalWriter.integer (int64 id) output
        | StoredPlace.Released(id, number) ->
            JournalWriter.byte 2uy output
            JournalWriter.integer (int64 id) output
            JournalWriter.integer number output

    let private readId (cursor: byref<JournalCursor>) =
        uint16 (cursor.Within("Packet Identifier", 1L, int64 UInt16.MaxValue))

    let private readPlace (cursor: byref<JournalCursor>) : StoredPlace =
        match cursor.Within("place", 0L, 2L) with
        | 0L -> StoredPlace.Waiting
        | 1L -> StoredPlace.Sent(readId &cursor)
        | _ ->
            let id = readId &cursor
            StoredPlace.Released(id, cursor.Integer "number of the PUBREL")

    let private writeShared (shared: SharedDelivery voption) output =
        match shared with
        | ValueNone -> JournalWriter.byte 0uy output
        | ValueSome shared ->
            JournalWriter.byte 1uy output
            JournalWriter.bytes shared.Filter.Utf8.Span output
            JournalWriter.byte (byte shared.QoS ||| (if shared.Retain then 4uy else 0uy)) output

    let private readShared (cursor: byref<JournalCursor>) : SharedDelivery voption =
        if cursor.Flag "shared subscription" then
            let filter = cursor.TopicFilter "Topic Filter"
            let start = cursor.At
            let flags = cursor.Byte "QoS"

            if flags > 6uy || flags &&& 3uy = 3uy then
                cursor.Fail(start, "QoS", "no message has it")

            ValueSome
                {
                    Filter = filter
                    QoS = LanguagePrimitives.EnumOfValue(flags &&& 3uy)
                    Retain = flags &&& 4uy <> 0uy
                }
        else
            ValueNone

    let private writeBody (message: inref<StoredMessage>) output =
        JournalBodies.write
            message.Topic
            message.Payload
            message.QoS
            message.Retain
            message.Properties
            message.ExpiresAt
            output

    // What stands before the body of a message.
    let private writeKept tag (session: SessionId) order place shared output =
        JournalWriter.byte tag output
        JournalWriter.integer session.Value output
        JournalWriter.integer order output
        writePlace place output
        writeShared shared output

    /// Writes that a session keeps a message whose body begins at <c>bodyAt</c> of the group.
    let internal writeKeptAgain
        session
        order
        place
        shared
        (bodyAt: int)
        (output: IBufferWriter<byte>)
        : unit =
        writeKept Tag.KeptAgain session order place shared output
        JournalWriter.integer (int64 bodyAt) output

    let internal writeKeptHead session order place shared (output: IBufferWriter<byte>) : unit =
        writeKept Tag.Kept session order place shared output

    let internal writeKeptBody (message: inref<StoredMessage>) (output: IBufferWriter<byte>) : unit =
        writeBody &message output

    let private writeHead (tag: byte) (session: SessionId) output =
        JournalWriter.byte tag output
        JournalWriter.integer session.Value output

    /// Writes a change of a session.
    let internal writeSession
        (session: SessionId)
        (change: inref<SessionChange>)
        (output: IBufferWriter<byte>)
        : unit =
        match change with
        | SessionChange.Kept(order, place, message, shared) ->
            writeKept Tag.Kept session order place shared output
            writeBody &message output
        | SessionChange.Moved(order, place) ->
            writeHead Tag.Moved session output
            JournalWriter.integer order output
            writePlace place output
        | SessionChange.Gone order ->
            writeHead Tag.Gone session output
            JournalWriter.integer order output
        | SessionChange.Numbered order ->
            writeHead Tag.Numbered session output
            JournalWriter.integer order output
        | SessionChange.Held id ->
            writeHead Tag.Held session output
            JournalWriter.integer (int64 id) output
        | SessionChange.Freed id ->
            writeHead Tag.Freed session output
            JournalWriter.integer (int64 id) output
        | SessionChange.Cleared -> writeHead Tag.Cleared session output

    /// Writes a record of a group.
    [<CompiledName("Write")>]
    let write (record: JournalRecord) (output: IBufferWriter<byte>) : unit =
        match record with
        | JournalRecord.Broker change -> writeChange change output
        | JournalRecord.Session(session, change) -> writeSession session &change output
        | JournalRecord.Counters(nextSession, nextConnection, writtenAt) ->
            JournalWriter.byte Tag.Counters output
            JournalWriter.integer nextSession.Value output
            JournalWriter.integer nextConnection.Value output
            JournalWriter.time writtenAt output

    let private messageOf (body: JournalBodies.Body) : StoredMessage =
        StoredMessage.Read(
            {
                Topic = body.Topic
                Payload = body.Payload
                QoS = body.QoS
                Retain = body.Retain
                Properties = body.Properties
                ExpiresAt = ValueNone
                Ticket = Ticket.None
            },
            body.ExpiresAt
        )

    let private readKept (isAgain: bool) (cursor: byref<JournalCursor>) =
        let start = cursor.At
        let session = SessionId(cursor.Integer "session")
        let order = cursor.Integer "order"
        let place = readPlace &cursor
        let shared = readShared &cursor

        let message =
            if isAgain then
                // A body refers to no other, so this ends.
                let bodyAt = cursor.Within("place of the body", int64 HeaderBytes, int64 start)
                let mutable earlier = JournalCursor(cursor.Group, int bodyAt)
                earlier.Fault <- cursor.Fault
                let body = JournalBodies.read &earlier
                cursor.Fault <- earlier.Fault
                messageOf body
            else
                messageOf (JournalBodies.read &cursor)

        JournalRecord.Session(session, SessionChange.Kept(order, place, message, shared))

    let private readSession (tag: byte) (cursor: byref<JournalCursor>) =
        let session = SessionId(cursor.Integer "session")

        let change =
            match tag with
            | Tag.Moved ->
                let order = cursor.Integer "order"
                SessionChange.Moved(order, readPlace &cursor)
            | Tag.Gone -> SessionChange.Gone(cursor.Integer "order")
            | Tag.Numbered -> SessionChange.Numbered(cursor.Integer "order")
            | Tag.Held -> SessionChange.Held(readId &cursor)
            | Tag.Freed -> SessionChange.Freed(readId &cursor)
            | _ -> SessionChange.Cleared

        JournalRecord.Session(session, change)

    let private readChange (tag: byte) (cursor: byref<JournalCursor>) =
        match tag with
        | Tag.SessionSet -> StoredChange.SessionSet(readOwner &cursor)
        | Tag.SessionEnded ->
            let session = SessionId(cursor.Integer "session")
            StoredChange.SessionEnded(session, cursor.ClientId "Client Identifier")
        | Tag.Subscribed -> readSubscribed &cursor
        | Tag.Unsubscribed ->
            let session = SessionId(cursor.Integer "session")
            StoredChange.Unsubscribed(session, cursor.TopicFilter "Topic Filter")
        | Tag.Retained -> StoredChange.Retained(readRetained &cursor)
        | _ -> StoredChange.RetainedRemoved(cursor.TopicName "Topic Name")

    let private readCounters (cursor: byref<JournalCursor>) =
        let nextSession = SessionId(cursor.Integer "number of the next session")
        let nextConnection = ConnectionId(cursor.Integer "number of the next connection")
        JournalRecord.Counters(nextSession, nextConnection, cursor.Time "time of the group")

    /// Reads the record at an offset of a group, and moves the offset to the next; the group has ended when that is its
    /// length. At offset 0 the group is checked as a whole, and its first record read. Bad bytes give the fault, and never
    /// an exception. Payloads and properties refer to the memory of the group.
    [<CompiledName("TryRead")>]
    let tryRead (group: ReadOnlyMemory<byte>) (offset: byref<int>) : Result<JournalRecord, JournalFault> =
        let damage = if offset = 0 then check group.Span else ValueNone

        match damage with
        | ValueSome fault -> Error fault
        | ValueNone ->
            let start = max offset HeaderBytes
            let mutable cursor = JournalCursor(group, start)

            let record =
                match cursor.Byte "record" with
                | Tag.Kept -> readKept false &cursor
                | Tag.KeptAgain -> readKept true &cursor
                | Tag.Counters -> readCounters &cursor
                | tag when tag >= Tag.SessionSet && tag <= Tag.RetainedRemoved ->
                    JournalRecord.Broker(readChange tag &cursor)
                | tag when tag >= Tag.Moved && tag <= Tag.Cleared -> readSession tag &cursor
                | tag ->
                    cursor.Fail(start, "record", $"there is no record {tag}")
                    JournalRecord.Counters(SessionId.None, ConnectionId.None, 0L<unixMs>)

            match cursor.Fault with
            | ValueSome fault -> Error fault
            | ValueNone ->
                offset <- cursor.At
                Ok record

/// A group of the journal while it is made. A scratch object: it belongs to the caller, who uses it again and again, from
/// one thread at a time.
[<Sealed; AllowNullLiteral(false)>]
type JournalGroup() =
    let mutable output = ArrayBufferWriter<byte>(4_096)
    let mutable records = 0

    // Where the bodies of messages stand that other sessions may keep as well.
    let bodies = Dictionary<Outgoing, struct (int * UnixTime voption)>(HashIdentity.Reference)

    let begin' () =
        if records = 0 then
            JournalCodec.start output

        records <- records + 1

    // A buffer that became larger than this is not kept, in bytes.
    static member private MostKeptBytes = 1024 * 1024

    /// How many records there are.
    member _.Count = records

    /// The size of the group until now, in bytes; 0 without a record.
    member _.Bytes = output.WrittenCount

    /// Adds a record.
    member _.Add(record: JournalRecord) : unit =
        begin' ()
        JournalCodec.write record output

    /// Adds the changes of a session. The body of a message that is in the group already is not written again.
    member _.Add(session: SessionId, changes: ReadOnlySpan<SessionChange>) : unit =
        for index in 0 .. changes.Length - 1 do
            begin' ()

            match changes[index] with
            | SessionChange.Kept(order, place, message, shared) ->
                match bodies.TryGetValue message.Source with
                | true, struct (bodyAt, expiresAt) when expiresAt = message.ExpiresAt ->
                    JournalCodec.writeKeptAgain session order place shared bodyAt output
                | _ ->
                    JournalCodec.writeKeptHead session order place shared output
                    bodies[message.Source] <- struct (output.WrittenCount, message.ExpiresAt)
                    JournalCodec.writeKeptBody &message output
            | _ ->
                let change = changes[index]
                JournalCodec.writeSession session &change output

    /// Ends the group, and gives its bytes, which are valid until it is cleared. There is a record at least.
    member _.Seal() : ReadOnlyMemory<byte> =
        let mutable group = ArraySegment<byte>()

        if not (Runtime.InteropServices.MemoryMarshal.TryGetArray(output.WrittenMemory, &group)) then
            invalidOp "the memory of the group is no array"

        JournalCodec.seal (group.AsSpan())
        output.WrittenMemory

    /// Forgets the records.
    member _.Clear() : unit =
        records <- 0
        bodies.Clear()

        if output.Capacity > JournalGroup.MostKeptBytes then
            output <- ArrayBufferWriter<byte>(4_096)
        else
            output.ResetWrittenCount()
