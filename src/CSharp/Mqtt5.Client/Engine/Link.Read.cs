using System.Buffers;
using System.IO.Pipelines;

namespace Mqtt5.Engine;

internal sealed partial class Link
{
    private const int ReadBufferBytes = 64 * 1024;
    private const int MinimumReadBytes = 4 * 1024;

    // Before CONNACK the peer has shown nothing that would make a large packet worth parsing.
    private const int TapeBytesBeforeConnack = 64 * 1024;

    private long offset;

    // Reads until the peer closes; once the link is closing, what comes is thrown away. Never throws.
    private async Task ReadAsync(Stream stream)
    {
        var options = new StreamPipeReaderOptions(
            bufferSize: ReadBufferBytes, minimumReadSize: MinimumReadBytes, leaveOpen: true);
        var reader = PipeReader.Create(stream, options);

        try
        {
            while (true)
            {
                var result = await reader.ReadAsync(stop.Token).ConfigureAwait(false);
                var rest = Volatile.Read(ref closing)
                    ? result.Buffer.Slice(result.Buffer.End)
                    : await TakeAsync(result.Buffer).ConfigureAwait(false);
                reader.AdvanceTo(rest.Start, rest.End);

                if (result.IsCompleted)
                    throw new EndOfStreamException("the server closed the connection");
            }
        }
        catch (Exception failure)
        {
            engine.LinkEnded(this, failure);
        }
        finally
        {
            await reader.CompleteAsync().ConfigureAwait(false);
        }
    }

    // Takes the whole packets and gives what is left.
    private async ValueTask<ReadOnlySequence<byte>> TakeAsync(ReadOnlySequence<byte> input)
    {
        while (!Volatile.Read(ref closing))
        {
            input = engine.DeliverQoS0(this, input, ref offset);
            var framing = Framer.Next(Direction.ServerToClient, engine.MaximumPacketBytes, offset, input);

            if (framing.Tag == Framing.Tags.Incomplete)
                return input;

            if (framing.Tag == Framing.Tags.Broken)
            {
                engine.Post(this, ClientEvent.NewReceivedFault(framing.Fault!));
                break;
            }

            var frame = input.Slice(0, framing.Length);

            if (Decode(frame, out var received))
                engine.Post(this, received);

            // The server has to prove itself before the client takes its success, and no packet is read meanwhile.
            else if (await engine.VerifyAsync(this, received.Packet!).ConfigureAwait(false))
                engine.Post(this, received);

            offset += framing.Length;
            input = input.Slice(framing.Length);
        }

        return input.Slice(input.End);
    }

    // The packet of a frame as an event. A PUBLISH and all that the grammar parses borrow a copy of the frame, because
    // they outlive the buffer. False for a CONNACK whose sender has to be verified first.
    private bool Decode(ReadOnlySequence<byte> frame, out ClientEvent received)
    {
        var length = (int)frame.Length;
        var type = (PacketType)(frame.FirstSpan[0] >> 4);

        if (type is PacketType.Puback or PacketType.Pubrec or PacketType.Pubrel or PacketType.Pubcomp
            && FastPath.TryAcknowledgement(Direction.ServerToClient, Framer.Memory(length, frame).Span, out var ack))
        {
            received = ClientEvent.NewReceivedAck(ack.Type, ack.PacketId.Value, ack.Reason);
            return true;
        }

        var copy = Framer.Copy(length, frame);

        if (type == PacketType.Publish && FastPath.TryPublish(Direction.ServerToClient, copy.Span, out var view))
        {
            received = ClientEvent.NewReceived(Packet.NewPublish(view.ToPublish(copy)));
            return true;
        }

        var tape = IsEstablished ? engine.MaximumPacketBytes : TapeBytesBeforeConnack;
        var parsed = Grammar.Parse(Direction.ServerToClient, tape, offset, copy);
        received = parsed.IsOk ? ClientEvent.NewReceived(parsed.ResultValue) : ClientEvent.NewReceivedFault(parsed.ErrorValue);
        return type != PacketType.Connack || !parsed.IsOk || Exchange is null;
    }
}
