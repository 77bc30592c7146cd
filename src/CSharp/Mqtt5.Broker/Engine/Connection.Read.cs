using System.Buffers;

namespace Mqtt5.Serving;

internal sealed partial class Connection
{
    private TokenBucket publishRate;

    private void StartReading() =>
        publishRate = TokenBucketModule.Full(engine.Now(), engine.Settings.Limits.PublishBurst);

    private async Task RejudgeAsync(Packet packet)
    {
        // Nothing is read meanwhile, so the client is not silent.
        Volatile.Write(ref lastReceived, engine.Now() + engine.Settings.Limits.ConnectTimeout);
        var judgement = await JudgeAsync(packet).ConfigureAwait(false);
        Volatile.Write(ref lastReceived, engine.Now());
        var worker = engine.Rent();
        worker.Step(Session!, ServerEvent.NewJudged(Number, judgement));
        engine.Return(worker);
    }

    // A client that does not read its acknowledgements is not read from either.
    private Task? WhenTakesData()
    {
        lock (Gate)
        {
            if (!IsCongested || closing)
                return null;

            takesData ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return takesData.Task;
        }
    }

    // Takes the whole packets, up to one that has to be judged, and leaves the rest.
    private Packet? Take(ref ReadOnlySequence<byte> buffer)
    {
        var worker = engine.Rent();
        var session = Session!;
        var limit = engine.Settings.Limits.MaximumPacketBytes;

        try
        {
            while (!Volatile.Read(ref closing))
            {
                var framing = Framer.Next(Direction.ClientToServer, limit, offset, buffer);

                if (framing.Tag == Framing.Tags.Incomplete)
                    break;

                Volatile.Write(ref lastReceived, worker.Now);

                if (framing.Tag == Framing.Tags.Broken)
                {
                    EndRuns(worker);
                    worker.Step(session, ServerEvent.NewReceivedFault(Number, framing.Fault!));
                    buffer = buffer.Slice(buffer.End);
                    break;
                }

                Take(worker, session, framing.Length, buffer);
                worker.Drain();
                offset += framing.Length;
                buffer = buffer.Slice(framing.Length);
                worker.Counts.PacketsReceived++;
                worker.Counts.BytesReceived += framing.Length;

                if (worker.Judging is { } packet)
                    return packet;
            }

            return null;
        }
        finally
        {
            EndRuns(worker);
            engine.Return(worker);
        }
    }

    // At most one of the two is under way.
    private void EndRuns(Worker worker)
    {
        worker.EndRun(this);
        worker.EndPubacks(this);
    }

    private void Take(Worker worker, Session session, int length, in ReadOnlySequence<byte> buffer)
    {
        var type = (PacketType)(buffer.FirstSpan[0] >> 4);

        if (type != PacketType.Publish)
            worker.EndRun(this);

        if (type != PacketType.Puback)
            worker.EndPubacks(this);

        switch (type)
        {
            case PacketType.Publish:
                TakePublish(worker, session, length, buffer);
                break;
            case PacketType.Puback or PacketType.Pubrec or PacketType.Pubrel or PacketType.Pubcomp
                when FastPath.TryAcknowledgement(Direction.ClientToServer, Framer.Memory(length, buffer).Span, out var view):
                if (view.Type == PacketType.Puback && view.Reason == ReasonCode.Success)
                {
                    worker.TakePuback(this, view.PacketId.Value);
                    break;
                }

                worker.EndPubacks(this);
                worker.Step(session, ServerEvent.NewReceivedAck(Number, view.Type, view.PacketId.Value, view.Reason));
                break;
            default:
                worker.EndPubacks(this);
                TakeAny(worker, session, Framer.Copy(length, buffer));
                break;
        }

        if (session.Walk is not null)
            worker.Walk(session);
    }

    private void TakePublish(Worker worker, Session session, int length, in ReadOnlySequence<byte> buffer)
    {
        var limits = engine.Settings.Limits;
        worker.Counts.PublishReceived++;

        if (limits.PublishesPerSecond > 0)
        {
            (publishRate, var inRate) = TokenBucketModule.Take(worker.Now, limits.PublishesPerSecond, limits.PublishBurst, publishRate);

            if (!inRate)
            {
                worker.EndRun(this);
                worker.Step(session, ServerEvent.NewRateExceeded(Number));
                return;
            }
        }

        var piece = worker.Piece(this, length, buffer);
        var frame = piece[..length];

        if (!FastPath.TryPublish(Direction.ClientToServer, frame.Span, out var view))
        {
            worker.EndRun(this);
            TakeAny(worker, session, frame.ToArray());
            return;
        }

        worker.Counts.PayloadBytesReceived += length - view.PayloadAt;

        switch (engine.Hooks.SeesMessages ? PublishVerdict.Step : QoS0.Judge(engine.Settings, in view))
        {
            case PublishVerdict.Forward:
                worker.Forward(this, piece, length, in view);
                break;
            case PublishVerdict.Drop:
                worker.Counts.PublishDropped++;
                engine.Exceeded(LimitTable.OfTopic(limits, view.Topic));
                break;
            case PublishVerdict.Step when !engine.Hooks.SeesMessages && QoS1.Passes(Number, in view, session.State):
                worker.Forward(this, piece, length, in view);
                break;
            default:
                worker.EndRun(this);
                // The message that becomes of it owns its bytes; until then they stay as they are.
                worker.Step(session, ServerEvent.NewReceived(Number, Packet.NewPublish(view.ToPublish(frame))));
                break;
        }
    }

    // Everything that is not plain, and everything that is wrong.
    private void TakeAny(Worker worker, Session session, ReadOnlyMemory<byte> frame)
    {
        var parsed = Grammar.Parse(Direction.ClientToServer, engine.Settings.Limits.MaximumPacketBytes, offset, frame);
        worker.Step(session, parsed.IsOk
            ? ServerEvent.NewReceived(Number, parsed.ResultValue)
            : ServerEvent.NewReceivedFault(Number, parsed.ErrorValue));
    }
}
