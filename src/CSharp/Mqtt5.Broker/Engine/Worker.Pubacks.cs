namespace Mqtt5.Serving;

internal sealed partial class Worker
{
    private readonly ushort[] pubacks = new ushort[256];
    private int pubackCount;

    // Takes a PUBACK of success without properties. It is dealt with together with those that follow it, at the latest by
    // EndPubacks.
    public void TakePuback(Connection connection, ushort packetId)
    {
        if (pubackCount == pubacks.Length)
            EndPubacks(connection);

        pubacks[pubackCount++] = packetId;
    }

    // Steps the session with what was taken: before the next packet of another kind, and at the end of the input.
    public void EndPubacks(Connection connection)
    {
        if (pubackCount == 0)
            return;

        var session = connection.Session!;
        ReadOnlySpan<ushort> left = pubacks.AsSpan(0, pubackCount);
        pubackCount = 0;

        lock (session.Gate)
        {
            while (!left.IsEmpty)
            {
                var before = session.State;
                var (after, count, effects) = QoS1.Acknowledge(Now, connection.Number, left, before);

                if (count > 0)
                {
                    Become(session, session.Connection, before, after, effects);
                    left = left[count..];
                    continue;
                }

                StepWithin(
                    session,
                    session.Connection,
                    ServerEvent.NewReceivedAck(connection.Number, PacketType.Puback, left[0], ReasonCode.Success));
                left = left[1..];
            }
        }

        Drain();

        if (session.Walk is not null)
            Walk(session);
    }
}
