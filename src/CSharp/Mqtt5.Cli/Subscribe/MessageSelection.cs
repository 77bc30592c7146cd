namespace Mqtt5.Cli;

/// <summary>Decides which messages are printed, removed and counted, in the order of mosquitto_sub.</summary>
internal sealed class MessageSelection(SubscribeRequest request)
{
    private long counted;

    /// <summary>What happens with the next message.</summary>
    public MessageVerdict Decide(MqttReceivedMessage message)
    {
        if (request.RetainedOnly && !message.Retain)
            return MessageVerdict.End;

        if (request.LeftOut.Count > 0)
        {
            var topic = TopicName.Of(message.Topic);

            foreach (var filter in request.LeftOut)
            {
                if (Topic.matches(filter, topic))
                    return MessageVerdict.None;
            }
        }

        var verdict = request.RemovesRetained && message.Retain ? MessageVerdict.Remove : MessageVerdict.None;

        if (message.Retain && request.SkipsRetained)
            return verdict;

        // One that chance leaves out counts.
        if (request.Percentage >= 100 || IsChosen())
            verdict |= MessageVerdict.Print;

        return ++counted == request.Count ? verdict | MessageVerdict.End : verdict;
    }

#pragma warning disable CA5394 // Nothing depends on how this is guessed.
    private bool IsChosen() => Random.Shared.NextDouble() * 100 < request.Percentage;
#pragma warning restore CA5394
}
