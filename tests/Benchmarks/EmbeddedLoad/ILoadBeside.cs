namespace Mqtt5.Benchmarks;

/// <summary>What goes on beside the requests of an application, from the start of the object on.</summary>
internal interface ILoadBeside : IDisposable
{
    /// <summary>Ends the load. Returns how many messages there were a second; 0: it has none.</summary>
    /// <exception cref="InvalidOperationException">The load failed.</exception>
    double Finish();
}
