namespace Mqtt5

open System
open System.Runtime.CompilerServices
open System.Runtime.InteropServices

/// PUBLISH packets of one client and of one QoS that lie side by side in its input and go to the same topic. Those of QoS 0
/// and 1 change nothing in the session of their publisher; the Packet Identifiers of those of QoS 2 ascend. Each target gets
/// them in one step. A scratch object: it belongs to a caller, who uses it again and again from one thread at a time, and it
/// borrows the input.
[<Sealed; AllowNullLiteral(false)>]
type PublishRun() =

    let mutable source = ReadOnlyMemory<byte>.Empty
    let mutable version = ProtocolVersion.V5
    let mutable lengths: int[] = Array.zeroCreate 64
    let mutable payloads: int[] = Array.zeroCreate 64
    let mutable packetIds: uint16[] = Array.zeroCreate 64
    let mutable copies: Outgoing[] = [||]
    let mutable copied = 0
    let mutable copiedBytes = 0
    let mutable other: byte[] = [||]
    let mutable otherBytes = 0
    let mutable topicAt = 0
    let mutable topicLength = 0
    let mutable count = 0
    let mutable mostCount = Int32.MaxValue
    let mutable qos = QoS.AtMostOnce
    let mutable hasProperties = false
    let mutable bytes = 0
    let mutable largestPacketBytes = 0
    let mutable payloadBytes = 0L

    let continues (memory: ReadOnlyMemory<byte>) length =
        bytes + length <= min PublishRun.MostBytes source.Length
        && Unsafe.AreSame(
            &MemoryMarshal.GetReference(source.Span.Slice bytes),
            &MemoryMarshal.GetReference memory.Span
        )

    // A version before MQTT 5 lays a PUBLISH out as another one does.
    let hasLayoutOf (layout: ProtocolVersion) = layout.IsV5 = version.IsV5

    let sizeIn (layout: ProtocolVersion) index =
        int (Encode.publishSizeIn layout topicLength QoS.AtMostOnce 0 (lengths[index] - payloads[index]))

    // The packets of QoS 0 in another layout, without properties. Gives how many bytes they take.
    let rewrite (layout: ProtocolVersion) (destination: Span<byte>) : int =
        let topic = source.Span.Slice(topicAt, topicLength)
        let mutable start = 0
        let mutable at = 0

        for index in 0 .. count - 1 do
            let payload = source.Span.Slice(start + payloads[index], lengths[index] - payloads[index])

            let head =
                Encode.publishHeadIn
                    layout
                    QoS.AtMostOnce
                    false
                    false
                    topic
                    0us
                    ReadOnlySpan.Empty
                    payload.Length
                    (destination.Slice at)

            payload.CopyTo(destination.Slice(at + head))
            at <- at + head + payload.Length
            start <- start + lengths[index]

        at

    // A run ends here, so that a target that reads slowly is noticed soon. A longer packet is a run of its own.
    static member private MostBytes = 16 * 1024

    // The packets in another layout take more memory than this only while the run needs it.
    static member private MostKeptBytes = 2 * PublishRun.MostBytes

    /// How many packets there are.
    member _.Count = count

    // How many there should be at most.
    member internal _.MostCount
        with get () = mostCount
        and set value = mostCount <- value

    /// The version of the connection that they came from.
    member _.Version = version

    /// The QoS of all of them.
    member _.QoS = qos

    /// Whether any of them has properties.
    member _.HasProperties = hasProperties

    /// The size of all of them, in bytes.
    member _.Bytes = bytes

    /// The size of the largest of them, in bytes.
    member _.LargestPacketBytes = largestPacketBytes

    /// The size of all payloads, in bytes.
    member _.PayloadBytes = payloadBytes

    /// No packet is larger than this in the layout of a version, in bytes: a Property Length may be added, which may
    /// lengthen the Remaining Length.
    member _.LargestPacketBytesIn(layout: ProtocolVersion) : int =
        if layout.IsV5 && not version.IsV5 then
            largestPacketBytes + 2
        else
            largestPacketBytes

    /// The packets as they stand in the input.
    member _.Packets = source.Slice(0, bytes)

    /// Whether the packets are written to connections of this version as they stand in the input.
    member _.HasLayoutOf(layout: ProtocolVersion) : bool = hasLayoutOf layout

    /// Whether the packets in another layout are written once and kept for all targets. A large one is not.
    member _.KeepsOtherLayout: bool = bytes <= PublishRun.MostBytes

    /// The size of the packets of a run of QoS 0 in another layout, in bytes.
    member _.SizeIn(layout: ProtocolVersion) : int =
        let mutable size = 0

        for index in 0 .. count - 1 do
            size <- size + sizeIn layout index

        size

    /// Writes the packets of a run of QoS 0 in another layout, without properties, and gives their size in bytes.
    member _.WriteIn(layout: ProtocolVersion, destination: Span<byte>) : int = rewrite layout destination

    /// The packets of a run of QoS 0 in the other layout, written once for all targets. Valid until the run is cleared or
    /// added to.
    member this.OtherPackets(layout: ProtocolVersion) : ReadOnlySpan<byte> =
        if otherBytes = 0 then
            let size = this.SizeIn layout

            if other.Length < size then
                other <- Array.zeroCreate (max size (min PublishRun.MostKeptBytes (2 * other.Length)))

            otherBytes <- rewrite layout (Span other)

        ReadOnlySpan(other, 0, otherBytes)

    /// The topic of all of them, in UTF-8.
    member _.Topic = source.Span.Slice(topicAt, topicLength)

    /// The size of a packet, in bytes.
    member _.LengthOf(index: int) = lengths[index]

    /// The Packet Identifiers, in order; 0 at QoS 0.
    member _.PacketIds = ReadOnlySpan<uint16>(packetIds, 0, count)

    // The same with room behind them.
    member internal _.IdArray: uint16[] = packetIds

    /// The message of a packet, as <c>Copies</c> made it.
    member _.Copy(index: int) : Outgoing = copies[index]

    /// The copies for the targets that get the messages at their own QoS, without a ticket and without properties. They
    /// own their memory. Valid until the run is cleared.
    member _.Copies(topic: TopicName) : ReadOnlySpan<Outgoing> =
        if copies.Length < count then
            let more = Array.zeroCreate lengths.Length
            Array.Copy(copies, more, copied)
            copies <- more

        while copied < count do
            let start = copiedBytes + payloads[copied]
            let finish = copiedBytes + lengths[copied]

            copies[copied] <-
                {
                    Topic = topic
                    Payload =
                        if start = finish then
                            Bytes.Empty
                        else
                            Bytes.Copy(source.Span.Slice(start, finish - start))
                    QoS = qos
                    Retain = false
                    Properties = PublishProperties.Empty
                    ExpiresAt = ValueNone
                    Ticket = Ticket.None
                }

            copiedBytes <- finish
            copied <- copied + 1

        ReadOnlySpan(copies, 0, count)

    /// Adds a packet of a connection of this version, which is at the beginning of the memory; that may hold more. False:
    /// it belongs to another run.
    member _.TryAdd
        (layout: ProtocolVersion, memory: ReadOnlyMemory<byte>, length: int, view: inref<PublishView>)
        : bool =
        let isFirst = count = 0

        if isFirst then
            source <- memory
            version <- layout
            qos <- view.QoS

            topicAt <-
                int (
                    Unsafe.ByteOffset(
                        &MemoryMarshal.GetReference view.Frame,
                        &MemoryMarshal.GetReference view.Topic
                    )
                )

            topicLength <- view.Topic.Length

        if
            not isFirst
            && not (
                continues memory length
                && view.QoS = qos
                // So none of them comes twice.
                && (qos <> QoS.ExactlyOnce || view.PacketId > packetIds[count - 1])
                && view.Topic.SequenceEqual(source.Span.Slice(topicAt, topicLength))
            )
        then
            false
        else
            if count = lengths.Length then
                Array.Resize(&lengths, 2 * count)
                Array.Resize(&payloads, 2 * count)
                Array.Resize(&packetIds, 2 * count)

            lengths[count] <- length
            payloads[count] <- view.PayloadAt
            packetIds[count] <- view.PacketId
            hasProperties <- hasProperties || not view.Properties.IsEmpty
            count <- count + 1
            bytes <- bytes + length
            largestPacketBytes <- max largestPacketBytes length
            payloadBytes <- payloadBytes + int64 (length - view.PayloadAt)
            true

    /// Forgets the packets, and gives up what it borrowed.
    member _.Clear() =
        Array.Clear(copies, 0, copied)
        copied <- 0
        copiedBytes <- 0
        otherBytes <- 0

        if other.Length > PublishRun.MostKeptBytes then
            other <- [||]

        source <- ReadOnlyMemory.Empty
        hasProperties <- false
        count <- 0
        mostCount <- Int32.MaxValue
        bytes <- 0
        largestPacketBytes <- 0
        payloadBytes <- 0L
