namespace Mqtt5.Engine;

// Receives the outcome of a delivered message of QoS 1 or 2.
internal interface IReceipt
{
    // Called once for each subscription that got the message; the token names it in the machine.
    void Settle(DeliveryToken token, ReasonCode reason);
}
