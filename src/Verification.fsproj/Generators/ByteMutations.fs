namespace Mqtt5.Verification

open FsCheck
open FsCheck.FSharp
open Mqtt5

/// What happened to the bytes of a frame.
[<RequireQualifiedAccess>]
type ByteMutation =
    /// One bit was turned over.
    | Flip of Offset: int * Bit: int
    /// One byte was replaced.
    | Set of Offset: int * Value: byte
    /// One byte was taken out.
    | Remove of Offset: int
    /// One byte was put in.
    | Insert of Offset: int * Value: byte
    /// The frame ends here.
    | Cut of Length: int
    /// A run of bytes stands twice.
    | Repeat of Offset: int * Length: int

/// A frame of a valid packet with some of its bytes changed. It may still be valid, and may be no frame any more.
[<NoComparison>]
type MutatedFrame =
    {
        /// The way that the frame travels.
        Direction: Direction
        /// The packet before.
        Packet: Packet
        /// What was done, in order.
        Mutations: ByteMutation list
        /// The bytes after.
        Frame: Bytes
    }

    override this.ToString() =
        $"{this.Frame} of {Notation.printTraced this.Direction this.Packet} by {this.Mutations}"

/// Random changes of bytes.
[<RequireQualifiedAccess>]
module ByteMutations =

    /// Does one change. Offsets beyond the end are taken from its beginning again.
    let apply (mutation: ByteMutation) (bytes: byte[]) : byte[] =
        let length = bytes.Length

        if length = 0 then
            bytes
        else
            match mutation with
            | ByteMutation.Flip(offset, bit) ->
                let at = offset % length
                Array.updateAt at (bytes[at] ^^^ (1uy <<< bit % 8)) bytes
            | ByteMutation.Set(offset, value) -> Array.updateAt (offset % length) value bytes
            | ByteMutation.Remove offset -> Array.removeAt (offset % length) bytes
            | ByteMutation.Insert(offset, value) -> Array.insertAt (offset % (length + 1)) value bytes
            | ByteMutation.Cut keep -> Array.truncate (keep % length) bytes
            | ByteMutation.Repeat(offset, count) ->
                let at = offset % length
                let run = bytes[at .. min (length - 1) (at + count - 1)]
                Array.insertManyAt at run bytes

    // Most rules are in the first bytes.
    let private offset =
        Gen.frequency [ 3, Gen.choose (0, 12); 2, Gen.choose (0, 80); 1, Gen.choose (0, 70_000) ]

    let private value =
        Gen.frequency
            [
                1, Gen.elements [ 0uy; 1uy; 127uy; 128uy; 255uy; '+'B; '#'B ]
                1, Gen.map byte (Gen.choose (0, 255))
            ]

    /// One change.
    let mutation: Gen<ByteMutation> =
        Gen.frequency
            [
                4, Gen.map2 (fun at bit -> ByteMutation.Flip(at, bit)) offset (Gen.choose (0, 7))
                4, Gen.map2 (fun at value -> ByteMutation.Set(at, value)) offset value
                2, Gen.map ByteMutation.Remove offset
                2, Gen.map2 (fun at value -> ByteMutation.Insert(at, value)) offset value
                1, Gen.map ByteMutation.Cut offset
                1, Gen.map2 (fun at count -> ByteMutation.Repeat(at, count)) offset (Gen.choose (1, 8))
            ]

    let private mutate direction packet mutations =
        match Encode.toBytes direction packet with
        | Error _ -> None
        | Ok frame ->
            Some
                {
                    Direction = direction
                    Packet = packet
                    Mutations = mutations
                    Frame = Bytes.OfArray(List.fold (fun bytes change -> apply change bytes) frame mutations)
                }

    /// Frames of any packet with one to four changes.
    let any: Gen<MutatedFrame> =
        gen {
            let! struct (direction, packet) = PacketGenerators.anyPacket
            let! count = Gen.choose (1, 4)
            let! mutations = Gen.listOfLength count mutation
            return mutate direction packet mutations
        }
        |> Gen.where Option.isSome
        |> Gen.map Option.get

    /// The same with fewer changes, then with a smaller packet.
    let shrink (frame: MutatedFrame) : seq<MutatedFrame> =
        seq {
            if frame.Mutations.Length > 1 then
                for index in 0 .. frame.Mutations.Length - 1 do
                    mutate frame.Direction frame.Packet (List.removeAt index frame.Mutations)

            for packet in PacketShrinking.shrinkPacket frame.Packet do
                mutate frame.Direction packet frame.Mutations
        }
        |> Seq.choose id
