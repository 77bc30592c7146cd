using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.Serving;

// Where a connection comes from.
internal sealed record Origin(string? EndPoint, X509Certificate2? Certificate, Socket? Socket, bool IsInProcess)
{
    public bool HasUnreadBytes()
    {
        try
        {
            return Socket is { Available: > 0 };
        }
        catch (Exception failure) when (failure is ObjectDisposedException or SocketException)
        {
            return false;
        }
    }
}
