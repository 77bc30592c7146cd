namespace Mqtt5.Serving;

// Counters, plain fields so that they can be added to in place.
internal struct Counts
{
    public long BytesReceived;
    public long BytesSent;
    public long PacketsReceived;
    public long PacketsSent;
    public long PublishReceived;
    public long PublishSent;
    public long PublishDropped;
    public long PayloadBytesReceived;
    public long PayloadBytesSent;
}
