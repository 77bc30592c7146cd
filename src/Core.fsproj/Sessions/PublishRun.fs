namespace Mqtt5

open System
open System.Runtime.CompilerServices
open System.Runtime.InteropServices

/// PUBLISH packets of one client and of one QoS, 0 or 1, that lie side by side in its input, go to the same topic, and
/// change nothing in the session of their publisher. Each target gets them in one step. A scratch object: it belongs to
/// a caller, who uses it again and again from one thread at a time, and it borrows the input.
[<Sealed; AllowNullLiteral(false)>]
type PublishRun() =

    // A run ends here, so that a target that reads slowly is noticed soon. A longer packet is a run of its own.
    static let mostBytes = 16 * 1024

    let mutable source = ReadOnlyMemory<byte>.Empty
    let mutable lengths: int[] = Array.zeroCreate 64
    let mutable payloads: int[] = Array.zeroCreate 64
    let mutable packetIds: uint16[] = Array.zeroCreate 64
    let mutable copies: Outgoing[] = [||]
    let mutable copied = 0
    let mutable copiedBytes = 0
    let mutable topicAt = 0
    let mutable topicLength = 0
    let mutable count = 0
    let mutable qos = QoS.AtMostOnce
    let mutable hasProperties = false
    let mutable bytes = 0
    let mutable largestPacketBytes = 0
    let mutable payloadBytes = 0L

    let continues (memory: ReadOnlyMemory<byte>) length =
        bytes + length <= min mostBytes source.Length
        && Unsafe.AreSame(
            &MemoryMarshal.GetReference(source.Span.Slice bytes),
            &MemoryMarshal.GetReference memory.Span
        )

    /// How many packets there are.
    member _.Count = count

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

    /// The packets as they stand in the input.
    member _.Packets = source.Slice(0, bytes)

    /// The topic of all of them, in UTF-8.
    member _.Topic = source.Span.Slice(topicAt, topicLength)

    /// The size of a packet, in bytes.
    member _.LengthOf(index: int) = lengths[index]

    /// The Packet Identifiers, in order; 0 at QoS 0.
    member _.PacketIds = ReadOnlySpan<uint16>(packetIds, 0, count)

    /// The message of a packet, as <c>Copies</c> made it.
    member _.Copy(index: int) : Outgoing = copies[index]

    /// The copies for the targets that get the messages at QoS 1, without a ticket and without properties. They own
    /// their memory. Valid until the run is cleared.
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
                    QoS = QoS.AtLeastOnce
                    Retain = false
                    Properties = PublishProperties.Empty
                    ExpiresAt = ValueNone
                    Ticket = 0L
                }

            copiedBytes <- finish
            copied <- copied + 1

        ReadOnlySpan(copies, 0, count)

    /// Adds a packet, which is at the beginning of the memory; that may hold more. False: it belongs to another run.
    member _.TryAdd(memory: ReadOnlyMemory<byte>, length: int, view: inref<PublishView>) : bool =
        let isFirst = count = 0

        if isFirst then
            source <- memory
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
        source <- ReadOnlyMemory.Empty
        hasProperties <- false
        count <- 0
        bytes <- 0
        largestPacketBytes <- 0
        payloadBytes <- 0L
