using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.Serving;

// Where a connection comes from, and what can be done to its transport. It keeps nothing that the transport has anyway.
internal abstract class Origin
{
    // The address of the peer; null: it has none.
    public virtual string? EndPoint => null;

    // The certificate that the peer proved to have, for as long as the connection is greeted.
    public virtual X509Certificate2? Certificate => null;

    public virtual bool IsInProcess => false;

    // The listener that it came to; null: an endpoint of the application, or none.
    public virtual Listener? Listener => null;

    // Canceled when the peer has closed its end or the transport has ended, so that work for the peer can stop.
    public virtual CancellationToken Closed => default;

    // Whether the socket has received bytes that were not read yet.
    public virtual bool HasUnreadBytes() => false;

    // Has the next read wait until the other connections of the thread have had their turns, and then give what is there.
    // False: the reader has to let others be served itself.
    public virtual bool TryDefer() => false;

    // Ends the transport at once.
    public abstract void Abort();

    // Nothing of the connection runs any more.
    public virtual void Leave(BrokerEngine engine)
    {
    }
}
