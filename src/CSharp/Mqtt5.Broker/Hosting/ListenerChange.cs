namespace Mqtt5.Hosting;

// Listeners that are to be in place of those that there are. The new ones listen already, and serve nothing yet.
internal sealed class ListenerChange(OpenListener[] all, OpenListener[] added, OpenListener[] removed)
{
    // All that there are then, in the order of the options.
    public OpenListener[] All => all;

    public OpenListener[] Added => added;

    // Those that are closed then, or have been to make room for others at the same place.
    public OpenListener[] Removed => removed;
}
