using System.Buffers;
using System.IO.Pipelines;
using Mqtt5.Transports;

namespace Mqtt5.Engine;

internal sealed partial class Link
{
    private const int ReadBufferBytes = 64 * 1024;
    private const int MinimumReadBytes = 4 * 1024;

    private long offset;
    private long lastReceived;

    // Reads until the peer closes; once the link is closing, what comes is thrown away. Never throws.
    private async Task ReadAsync(IMqttConnection open)
    {
        var options = new StreamPipeReaderOptions(
            bufferSize: ReadBufferBytes, minimumReadSize: MinimumReadBytes, leaveOpen: true);
        PipeReader? reader = null;
        // Whether the thread came for a read, so that nothing above the loop waits for it.
        var isFree = false;

        try
        {
            reader = PipeReader.Create(open.Stream, options);

            while (true)
            {
                var reading = reader.ReadAsync(stop.Token);
                var waits = !reading.IsCompleted;
                var result = IsTurnDue(open, isFree && waits)
                    ? await new TurnAfterSuspension(reading, engine.Turns)
                    : await reading.ConfigureAwait(false);
                isFree |= waits;
                Volatile.Write(ref lastReceived, engine.Now());
                var taking = TakeAsync(result.Buffer);
                isFree &= taking.IsCompleted;
                var rest = await taking.ConfigureAwait(false);
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
            engine.Turns.RequestTurn();

            if (reader is not null)
                await reader.CompleteAsync().ConfigureAwait(false);
        }
    }

    // Whether publish calls have settled that the calling thread may complete as soon as the loop waits. The sockets of
    // this library complete reads on threads of the pool, with nothing above them that waits; who knows of other streams.
    // A process can be set to complete them on the thread that polls all sockets, which has to go on polling.
    private bool IsTurnDue(IMqttConnection open, bool isFree)
    {
        if (!engine.Turns.HasSettled)
            return false;

        if (isFree && open is SocketConnection && Thread.CurrentThread.IsThreadPoolThread)
            return true;

        engine.Turns.RequestTurn();
        return false;
    }

    // Takes the whole packets and gives what is left.
    private async ValueTask<ReadOnlySequence<byte>> TakeAsync(ReadOnlySequence<byte> input)
    {
        while (!Volatile.Read(ref closing))
        {
            input = engine.Take(this, input, ref offset);
            var framing = Framer.NextIn(version, Direction.ServerToClient, engine.MaximumPacketBytes, offset, input);

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
            else if (await engine.Authentication.VerifyAsync(this, received.Packet!).ConfigureAwait(false))
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
        received = ClientReading.Event(version, engine.MaximumPacketBytes, offset, Framer.Copy((int)frame.Length, frame));
        return Exchange is null || !received.IsReceived || !received.Packet!.IsConnack;
    }
}
