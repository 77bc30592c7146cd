namespace Mqtt5.Verification

open System
open FsCheck
open FsCheck.FSharp
open Mqtt5

/// A packet and a direction that it is valid in. It shows as one line of notation.
[<StructuredFormatDisplay("{Display}"); NoComparison>]
type PacketSample =
    {
        /// The way that the packet may travel.
        Direction: Direction
        /// The packet.
        Packet: Packet
    }

    /// The packet as a line of notation.
    member this.Display = Notation.print this.Packet

    override this.ToString() = this.Display

/// A packet, a version that can say it, and a direction that it is valid in. It shows as one line of notation.
[<StructuredFormatDisplay("{Display}"); NoComparison>]
type VersionedPacketSample =
    {
        /// The version of the connection.
        Version: ProtocolVersion
        /// The way that the packet may travel.
        Direction: Direction
        /// The packet.
        Packet: Packet
    }

    /// The packet as a line of notation, and its version as a comment.
    member this.Display =
        Notation.printIn this.Version this.Packet
        + " # "
        + (Spec.version this.Version).Name

    override this.ToString() = this.Display

/// A Topic Name and a Topic Filter over the same small alphabet, so that the filter often matches the name.
[<NoComparison>]
type TopicSample =
    {
        /// The Topic Name.
        Topic: TopicName
        /// The Topic Filter, shared now and then.
        Filter: TopicFilter
    }

    override this.ToString() = $"{this.Topic.Text} and {this.Filter.Text}"

/// What FsCheck makes values of the protocol with: give this type to FsCheck's configuration, as
/// <c>Config.Default.WithArbitrary([typeof(MqttArbitraries)])</c> in C# or <c>arbitrary = [ typeof&lt;MqttArbitraries&gt; ]</c>
/// with Expecto, and properties can take the types of its methods as arguments. Each shrinks, and what it shrinks to
/// is valid as well. All methods can be called from any thread.
[<AbstractClass; Sealed>]
type MqttArbitraries =

    /// A valid packet with a direction.
    static member PacketSample() : Arbitrary<PacketSample> =
        Arb.fromGenShrink (
            PacketGenerators.anyPacket
            |> Gen.map (fun (struct (direction, packet)) -> { Direction = direction; Packet = packet }),
            fun sample ->
                PacketShrinking.shrinkPacket sample.Packet
                |> Seq.map (fun packet -> { sample with Packet = packet })
        )

    /// A packet of any version, valid in it, with a direction.
    static member VersionedPacketSample() : Arbitrary<VersionedPacketSample> =
        Arb.fromGenShrink (
            gen {
                let! rule = Gen.elements Spec.versions
                let! direction = Gen.elements [ ClientToServer; ServerToClient ]
                let! packet = PacketGenerators.packetIn rule.Version direction
                return { Version = rule.Version; Direction = direction; Packet = packet }
            },
            fun sample ->
                PacketShrinking.shrinkPacketIn sample.Version sample.Direction sample.Packet
                |> Seq.map (fun packet -> { sample with Packet = packet })
        )

    /// A packet with one rule broken.
    static member BrokenPacket() : Arbitrary<BrokenPacket> =
        Arb.fromGenShrink (BrokenPackets.any, BrokenPackets.shrink)

    /// A frame with some bytes changed.
    static member MutatedFrame() : Arbitrary<MutatedFrame> =
        Arb.fromGenShrink (ByteMutations.any, ByteMutations.shrink)

    /// A UTF-8 Encoded String.
    static member Utf8String() : Arbitrary<Utf8String> =
        Arb.fromGenShrink (
            TextGenerators.utf8String,
            fun text -> Seq.map Utf8String.Of (PacketShrinking.shrinkText text.Text)
        )

    /// Bytes, up to 65,535.
    static member Bytes() : Arbitrary<Bytes> =
        Arb.fromGenShrink (TextGenerators.bytes, PacketShrinking.shrinkBytes)

    /// A Topic Name.
    static member TopicName() : Arbitrary<TopicName> =
        Arb.fromGenShrink (TextGenerators.topicName, PacketShrinking.shrinkTopic)

    /// A Topic Filter, shared now and then.
    static member TopicFilter() : Arbitrary<TopicFilter> =
        Arb.fromGenShrink (TextGenerators.topicFilter, PacketShrinking.shrinkFilter)

    /// A Topic Name and a Topic Filter that overlap often.
    static member TopicSample() : Arbitrary<TopicSample> =
        Arb.fromGenShrink (
            Gen.map2
                (fun topic filter -> { Topic = topic; Filter = filter })
                TextGenerators.overlappingTopic
                TextGenerators.overlappingFilter,
            fun sample ->
                Seq.append
                    (PacketShrinking.shrinkTopic sample.Topic
                     |> Seq.map (fun topic -> { sample with Topic = topic }))
                    (PacketShrinking.shrinkFilter sample.Filter
                     |> Seq.map (fun filter -> { sample with Filter = filter }))
        )

    /// A subscription with its options.
    static member Subscription() : Arbitrary<Subscription> =
        Arb.fromGenShrink (PacketGenerators.subscription, PacketShrinking.shrinkSubscription)

/// Arbitraries with arguments, for <c>Prop.ForAll</c>. All methods can be called from any thread.
[<AbstractClass; Sealed>]
type MqttArbitrary =

    /// Packets that are valid in this direction.
    static member Packets(direction: Direction) : Arbitrary<Packet> =
        Arb.fromGenShrink (PacketGenerators.packet direction, PacketShrinking.shrinkPacket)

    /// Packets that are valid in this direction and version.
    static member PacketsIn(version: ProtocolVersion, direction: Direction) : Arbitrary<Packet> =
        Arb.fromGenShrink (
            PacketGenerators.packetIn version direction,
            PacketShrinking.shrinkPacketIn version direction
        )

    /// Packets of one type that are valid in this direction. Throws <see cref="T:System.ArgumentException"/> if the type
    /// does not travel in it.
    static member PacketsOf(packetType: PacketType, direction: Direction) : Arbitrary<Packet> =
        if not (Spec.mayTravel direction packetType) then
            raise (
                ArgumentException(
                    $"{packetType} does not travel in the direction {direction}",
                    nameof packetType
                )
            )

        Arb.fromGenShrink (PacketGenerators.packetOf packetType direction, PacketShrinking.shrinkPacket)

    /// Packets that break this rule and no other that a receiver would meet first. Shrinking keeps the broken rule.
    static member Broken(rule: BrokenRule) : Arbitrary<BrokenPacket> =
        Arb.fromGenShrink (BrokenPackets.breaking rule, BrokenPackets.shrink)
